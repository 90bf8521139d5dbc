"""The containers on a real engine, through their doors, in fresh clones that belong to one user or another."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
import websocket
from stack import FORGED, OWNERS, POWERLESS, ROOT, Stack
from waiting import eventually

SERVICES = {"python", "postgres", "fastapi", "streamlit"}
CURL = (
    "curl --request POST http://127.0.0.1:8080/predict -H 'Content-Type: application/json' -d "
    '\'{"age_group": "Under 15 yrs","reported_race_ethnicity": "White, non-Hispanic", "previous_births": "None",'
    '"tobacco_use_during_pregnancy": "Yes","adequate_prenatal_care": "Inadequate"}\''
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def log(tmp_path_factory: Any) -> Path:
    """Return the file that takes what `docker compose up` prints."""
    return Path(tmp_path_factory.mktemp("log") / "up.txt")


@pytest.fixture(scope="module")
def stack(clone: Callable[[int], Stack], log: Path) -> Stack:
    """Type `docker compose up` in a fresh clone, and wait for the model."""
    stack = clone(OWNERS[-1])
    stack.compose("up", "--build", "--no-start")
    stack.run("sh", "-c", f"docker compose up >{log} 2>&1 &")
    eventually(lambda: f"http://127.0.0.1:{stack.ports['STREAMLIT']}" in log.read_text(), 300)
    return stack


def test_four_services_are_healthy_and_the_log_ends_with_their_addresses(stack: Stack, log: Path) -> None:
    shown = [json.loads(line) for line in stack.compose("ps", "--all", "--format", "json").splitlines()]
    assert {(s["Service"], s["Health"]) for s in shown} == {(name, "healthy") for name in SERVICES}
    time.sleep(1)
    end = "".join(log.read_text().splitlines(keepends=True)[-4:])
    assert all(str(port) in end for port in stack.ports.values()), end


def test_the_curl_of_the_readme_answers(stack: Stack) -> None:
    assert CURL in (ROOT / "README.md").read_text()
    answer = json.loads(stack.run("sh", "-c", CURL.replace("8080", str(stack.ports["API"])) + " --silent"))
    assert answer["prediction"] in answer["probabilities"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1)


def test_the_page_answers(stack: Stack) -> None:
    assert httpx.get(f"{stack.url('STREAMLIT')}/_stcore/health").text == "ok"
    assert "<title>" in httpx.get(stack.url("STREAMLIT")).text


def test_local_owns_its_database_and_can_run_no_program(stack: Stack) -> None:
    assert stack.query("SELECT count(*) FROM births")[0] > 1_000_000
    stack.query("CREATE TABLE mine AS SELECT 1 AS one")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        stack.query("COPY mine FROM PROGRAM 'echo 1'")
    with pytest.raises(psycopg2.OperationalError, match="reject"):
        stack.query("SELECT 1", user="postgres")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_jupyter_answers_a_browser_on_this_machine(stack: Stack, host: str) -> None:
    answer = httpx.get(f"{stack.url('JUPYTER')}/api/kernels", headers={"Host": f"{host}:{stack.ports['JUPYTER']}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("headers", [FORGED, {"Host": FORGED["Host"]}, {"Origin": FORGED["Origin"]}], ids="+".join)
def test_a_foreign_page_gets_no_kernel_and_no_websocket(stack: Stack, headers: dict[str, str]) -> None:
    door = stack.url("JUPYTER")
    kernels = httpx.get(f"{door}/api/kernels").json()
    assert httpx.post(f"{door}/api/kernels", json={}, headers=headers).status_code in (403, 404)
    if "Host" in headers:
        assert httpx.get(f"{door}/api/kernels", headers=headers).status_code == 403
    with stack.kernel() as path:
        for channel in (path, "/api/events/subscribe"):
            stack.open(channel, {}).close()
            with pytest.raises(websocket.WebSocketBadStatusException, match="status 403"):
                stack.open(channel, headers)
    assert httpx.get(f"{door}/api/kernels").json() == kernels


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_no_process_has_power(stack: Stack, service: str) -> None:
    user = {"streamlit": "57439"}.get(service, str(stack.owner))
    # What the engine starts inside is, for a moment, on its way to having no power.
    eventually(lambda: stack.powers(service) == {(user, *POWERLESS)})


def test_what_a_notebook_leaves_at_home_never_runs_with_another_identity(stack: Stack) -> None:
    place = "import pathlib, site; trap = pathlib.Path(site.getusersitepackages(), 'sitecustomize.py')\n"
    told = "import os; open(f'/tmp/ran-as-{os.getuid()}', 'w')"
    stack.run_in_kernel(f"{place}trap.parent.mkdir(parents=True, exist_ok=True); trap.write_text({told!r})")
    check = json.loads(stack.inspect("python", "{{json .Config.Healthcheck.Test}}"))[1:]
    for command in (check, ["takehome", "models"]):
        stack.compose("exec", "-T", "python", *command)
    stack.run_in_kernel(f"{place}trap.unlink()")
    assert re.findall(r"ran-as-(\d+)", stack.execute("python", "ls", "/tmp")) == [str(stack.owner)]


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_the_root_of_a_container_is_read_only(stack: Stack, service: str) -> None:
    assert "Read-only" in stack.compose("exec", "-T", service, "touch", "/etc/hosts.new", check=False)
    assert stack.inspect(service, "{{.HostConfig.ReadonlyRootfs}}") == "true"


def test_rooms_are_apart(stack: Stack) -> None:
    def reach(service: str, host: str, port: int) -> bool:
        connect = f"import socket; socket.create_connection(('{host}', {port}), 2)"
        return "rror" not in stack.execute(service, "python", "-c", connect, check=False)

    address = {s: stack.inspect(s, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}") for s in SERVICES}
    assert reach("python", "postgres", 5432)
    assert reach("fastapi", "postgres", 5432)
    assert not reach("python", address["fastapi"], 8080)
    assert not reach("streamlit", address["python"], 8888)
    with suppress(OSError):
        outside = socket.gethostbyname("pypi.org")
        assert reach("python", outside, 443)
        assert not reach("fastapi", outside, 443)
        assert not reach("streamlit", outside, 443)


def test_images_agree_on_versions_and_stay_small(stack: Stack) -> None:
    listing = "from importlib.metadata import distributions as d; print(*(x.name.lower()+'=='+x.version for x in d()))"
    names = ("python", "fastapi", "streamlit")
    packages = {s: dict(p.split("==") for p in stack.execute(s, "python", "-c", listing).split()) for s in names}
    for (one, here), (other, there) in combinations(packages.items(), 2):
        shared = here.keys() & there.keys()
        assert {n: here[n] for n in shared} == {n: there[n] for n in shared}, (one, other)
    limits = {"python": 1500, "streamlit": 900, "fastapi": 750}
    assert {s: stack.size(s) for s in names if stack.size(s) > limits[s]} == {}


def test_a_second_server_on_the_same_data_is_refused(stack: Stack) -> None:
    said = stack.compose("run", "--rm", "--no-deps", "postgres", check=False)
    assert "another server uses volumes/postgres" in said
    assert stack.query("SELECT 1") == (1,)


@pytest.mark.parametrize(("fault", "mend"), [("kill", "start"), ("pause", "unpause"), ("restart", "start")])
def test_predictions_go_on_and_are_logged_whatever_befalls_postgresql(stack: Stack, fault: str, mend: str) -> None:
    row = httpx.get(f"{stack.url('API')}/schema").json()["examples"][0]
    marker, sent, end = f"{fault}-{time.monotonic_ns()}", 0, time.monotonic() + 5
    breaking = threading.Timer(1, stack.compose, (fault, "postgres"))
    breaking.start()
    while time.monotonic() < end:
        httpx.post(f"{stack.url('API')}/predict", json=row, headers={"X-Request-ID": marker}).raise_for_status()
        sent += 1
    breaking.join()
    stack.compose(mend, "postgres")
    logged = f"SELECT count(*) FROM predictions WHERE request_id = '{marker}'"
    eventually(lambda: stack.query(logged)[0] == sent)


def test_a_killed_api_comes_back_by_itself_with_the_same_answers(stack: Stack) -> None:
    row = httpx.get(f"{stack.url('API')}/schema").json()["examples"][0]
    ask = lambda: httpx.post(f"{stack.url('API')}/predict", json=row).raise_for_status()  # noqa: E731
    before, started = ask(), stack.inspect("fastapi", "{{.State.StartedAt}}")
    kill = "pid=$(grep -l '[s]tart.py' /proc/[0-9]*/cmdline | grep -v /1/ | head -1 | cut -d/ -f3); kill -KILL $pid"
    stack.execute("fastapi", "sh", "-c", kill, check=False)
    eventually(lambda: stack.inspect("fastapi", "{{.State.StartedAt}}") != started)
    after = eventually(ask)
    assert (after.json(), after.headers["X-Model-Version"]) == (before.json(), before.headers["X-Model-Version"])


def test_what_the_api_imports_was_compiled_with_its_image(stack: Stack) -> None:
    listing = """if True:
        import os, sys
        import app.main, app.protocol, takehome.proof.suspect
        known = [module for module in sys.modules.values() if (getattr(module, "__file__", "") or "").endswith(".py")]
        cached = {module.__name__: getattr(module, "__cached__", module.__file__) for module in known}
        print([name for name, path in cached.items() if not os.path.exists(path)])
    """
    assert stack.execute("fastapi", "python", "-c", listing).strip() == "[]"


def test_own_data_goes_from_a_file_to_a_served_model_and_a_submission(stack: Stack) -> None:
    rows = [f"{10 + i % 7},5;{'grün' if i % 3 else 'rot'};{'ja' if (i * 7) % 11 > 4 else 'nein'}" for i in range(200)]
    hats = stack.folder / "volumes/static/hats.csv"
    hats.write_text("\n".join(["größe;farbe;verkauft", *rows]) + "\n", encoding="cp1252")
    data, notebook = "DATA=volumes/static/hats.csv", "NOTEBOOK=volumes/notebooks/hats.ipynb"
    assert "make convert DATA=volumes/static/hats.csv" in stack.run("make", "new", data, "TARGET=verkauft", check=False)
    said = stack.execute("python", "takehome", "convert", "volumes/static/hats.csv", check=False)
    assert "can't be replaced" in said
    assert "Traceback" not in said
    assert "200 rows. Decimal commas became points." in stack.run("make", "convert", data)
    assert hats.stat().st_uid == stack.owner
    stack.run("make", "new", data, "TARGET=verkauft")
    stack.run("make", "load")
    assert stack.query("SELECT count(*) FROM hats") == (200,)
    before = stack.version()
    stack.run("make", "train", notebook)
    eventually(lambda: stack.version() != before)
    row = {"größe": 12.5, "farbe": "rot"}
    assert httpx.post(f"{stack.url('API')}/predict", json=row).json()["prediction"] in ("ja", "nein")
    assert "reproduced in " in stack.run("make", "submit", notebook)
    assert (stack.folder / "volumes/submission/submission.zip").stat().st_uid == stack.owner


def test_a_model_saved_in_the_notebook_is_served(stack: Stack) -> None:
    code = """
        import takehome
        from sklearn.dummy import DummyClassifier
        frame = takehome.read_csv("/static/births.csv.gz").head(20_000)
        X, y = frame.drop(columns="preterm_indicator"), frame["preterm_indicator"]
        print(takehome.save_model(DummyClassifier().fit(X, y), X, y, name="swapped"))
    """
    saved = stack.run_in_kernel("\n".join(line.strip() for line in code.splitlines()))
    eventually(lambda: stack.version() in saved)


def test_everything_outlives_down_and_up(stack: Stack) -> None:
    stack.query("CREATE TABLE kept AS SELECT 42 AS answer")
    stack.run_in_kernel("open('kept.txt', 'w').write('kept')")
    before = stack.version(), stack.query("SELECT 'births'::regclass::oid, count(*) FROM births")
    stack.compose("down")
    stack.compose("up", "--detach", "--wait")
    assert eventually(stack.version) == before[0]
    assert stack.query("SELECT answer FROM kept") == (42,)
    time.sleep(2)
    assert stack.query("SELECT 'births'::regclass::oid, count(*) FROM births") == before[1]
    assert list(stack.folder.rglob("kept.txt"))


def test_all_stop_when_they_are_told_to(stack: Stack) -> None:
    stack.compose("stop")
    assert {s for s in SERVICES if stack.inspect(s, "{{.State.ExitCode}}") not in ("0", "143")} == set()


@pytest.mark.parametrize("owner", OWNERS[:-1] or OWNERS)
def test_what_a_notebook_writes_belongs_to_the_owner_of_the_clone(clone: Callable[[int], Stack], owner: int) -> None:
    stack = clone(owner)
    (stack.folder / "volumes/notebooks/submission.ipynb").unlink()
    stack.compose("up", "--build", "--detach", "--wait", "python")
    said = stack.run_in_kernel("open('/notebooks/made.txt', 'w'); open('/models/made.txt', 'w'); print('made')")
    assert "made" in said
    assert {(stack.folder / f"volumes/{name}/made.txt").stat().st_uid for name in ("notebooks", "models")} == {owner}
    installed = stack.run_in_kernel("%pip install --quiet lightgbm\nimport lightgbm; print(lightgbm.__file__)")
    assert "/home/notebook/" in installed
    test_no_process_has_power(stack, "python")
    stack.compose("stop")


def test_a_first_start_that_is_killed_heals_alone(clone: Callable[[int], Stack]) -> None:
    stack = clone(OWNERS[-1])
    stack.compose("up", "--no-start", "postgres")
    for instant in range(20):
        stack.compose("start", "postgres")
        time.sleep(0.06 * instant)
        stack.compose("kill", "postgres", check=False)
    stack.compose("up", "--detach", "--wait", "postgres")
    assert stack.query("SELECT current_user, current_database()") == ("local", "local")
    assert [path.name for path in (stack.folder / "volumes/postgres/18").iterdir()] == ["docker"]
