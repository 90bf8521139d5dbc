"""The API under load and under attack, as real processes: what is asked is answered, and answered rightly."""

import asyncio
import http.client
import json
import os
import resource
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import takehome
from serving import Load, choose, connect, figure, head, running, save, workers
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from takehome.store import Store
from waiting import PATIENCE, eventually

ROOT = Path(__file__).parents[1]
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """Give a models folder with two versions, and the slope of each."""
    folder = tmp_path_factory.mktemp("models")
    slopes: dict[str, float] = {}
    for slope in (1.0, 2.0):
        slopes[save(folder, slope)] = slope
    return folder, slopes


@pytest.fixture
def harmed(models: tuple[Path, dict[str, float]], tmp_path: Path) -> tuple[Path, dict[str, float]]:
    """Give a copy of the models that a test may harm."""
    shutil.copytree(models[0], tmp_path / "models")
    return tmp_path / "models", models[1]


@pytest.fixture(scope="module")
def api(models: tuple[Path, dict[str, float]], free_port: Callable[[], int]) -> Iterator[str]:
    """Serve the models to the tests that leave them as they are."""
    with running(models[0], free_port(), MOST_ROWS="20000", BODY_SECONDS="3", ANSWER_CACHE="2") as (url, _):
        yield url


# Models that change under load


@pytest.mark.slow
def test_twenty_swaps_under_load_fail_no_request(harmed: tuple[Path, dict], free_port: Callable[[], int]) -> None:
    folder, slopes = harmed
    first, second = slopes
    with running(folder, free_port()) as (url, _), Load(url, slopes) as load:
        for number in range(20):
            choose(url, (first, second)[number % 2])
        told = httpx.get(f"{url}/models").json()
        assert [(v["version"], v["current"], v["served"]) for v in told] == [
            (second, True, True),
            (first, False, False),
        ]
        assert set(told[0]) == {"version", "name", "created", "task", "score", "current", "served"}
        wrong = httpx.put(f"{url}/models/current", json={"version": "20200101-000000"})
        assert wrong.status_code == 404
        assert first in wrong.json()["detail"]
        assert httpx.put(f"{url}/models/current", json={"version": 1}).status_code == 422
    load.check()


def plant(folder: Path, harm: Callable[[Path], None]) -> str:
    """Commit a copy of the current model that was harmed."""
    store = Store(folder)
    version, staged = store.stage()
    shutil.copytree(store.path(str(store.current())), staged, dirs_exist_ok=True)
    stored = json.loads((staged / "model.json").read_text())
    (staged / "model.json").write_text(json.dumps(stored | {"version": version}))
    harm(staged)
    store.commit(staged, version)
    return version


def rewrite(folder: Path, **changes: Any) -> None:
    stored = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(stored | changes))


def lie(folder: Path) -> None:
    stored = json.loads((folder / "model.json").read_text())
    stored["examples"]["answers"][3]["prediction"] += 1
    rewrite(folder, examples=stored["examples"])


HARMS: dict[str, Callable[[Path], Any]] = {
    "corrupt": lambda folder: (folder / "model.joblib").write_bytes(os.urandom(1000)),
    "truncated": lambda folder: os.truncate(folder / "model.joblib", 100),
    "version-skewed": lambda folder: rewrite(folder, packages={"scikit-learn": "0.1"}),
    "unloadable": lambda folder: (folder / "model.json").write_text("{"),
    "lying": lie,
}


@pytest.mark.slow
def test_a_bad_model_or_folder_disturbs_nobody(harmed: tuple[Path, dict], free_port: Callable[[], int]) -> None:
    folder, slopes = harmed
    good = str(Store(folder).current())
    with running(folder, free_port()) as (url, _), Load(url, slopes, clients=2) as load:
        for name, harm in HARMS.items():
            version = plant(folder, harm)
            told = eventually(lambda: httpx.get(f"{url}/ready").json()["refused"])
            assert version in told, name
            print(f"{name}: {told}")
            choose(url, good)
            eventually(lambda: httpx.get(f"{url}/ready").json()["refused"] is None)
        moved = folder.rename(folder.with_name("gone"))
        time.sleep(2)
        assert httpx.get(f"{url}/models").json() == []
        assert httpx.put(f"{url}/models/current", json={"version": good}).status_code == 404
        moved.rename(folder)
        if os.getuid():  # root reads and writes whatever the mode is
            folder.chmod(0)
            time.sleep(2)
            folder.chmod(0o755)
        choose(url, next(iter(slopes)))
    load.check()


def test_a_models_folder_that_takes_no_file_is_said(harmed: tuple[Path, dict], free_port: Callable[[], int]) -> None:
    folder, slopes = harmed
    with running(folder, free_port()) as (url, _):
        (folder / "current").unlink()
        (folder / "current").mkdir()  # stands for a disk that is full
        answer = httpx.put(f"{url}/models/current", json={"version": next(iter(slopes))})
        assert answer.status_code == 503
        assert "can't be written to" in answer.json()["detail"]
        assert httpx.post(f"{url}/predict", json={"x": 1.0}).status_code == 200
    assert not list(folder.glob(".*.partial"))


@pytest.mark.slow
def test_a_killed_api_comes_back(models: tuple[Path, dict], free_port: Callable[[], int]) -> None:
    port = free_port()
    with running(models[0], port) as (url, process):
        assert httpx.post(f"{url}/predict", json={"x": 1.0}).status_code == 200
        process.kill()
        process.wait()
    began = time.monotonic()
    with running(models[0], port) as (url, _):
        assert httpx.post(f"{url}/predict", json={"x": 1.0}).status_code == 200
        print(f"first answer {time.monotonic() - began:.1f} s after the start")


@pytest.mark.slow
def test_two_workers_agree_and_are_counted_together(harmed: tuple[Path, dict], free_port: Callable[[], int]) -> None:
    folder, slopes = harmed
    first, second = slopes

    def seen(url: str) -> set[str | None]:
        return {httpx.get(f"{url}/ready").headers.get("X-Model-Version") for _ in range(20)}

    with running(folder, free_port(), WEB_CONCURRENCY="2") as (url, _):
        eventually(lambda: seen(url) == {second})
        with Load(url, slopes) as load:
            httpx.put(f"{url}/models/current", json={"version": first})
            eventually(lambda: first in seen(url))
            began = time.monotonic()
            eventually(lambda: seen(url) == {first})
            print(f"both workers agreed {time.monotonic() - began:.1f} s after the first")
        load.check()
        assert figure(url, "takehome_rows_total") == sum(load.count.values())


@pytest.mark.slow
def test_a_worker_that_was_killed_comes_back_with_its_model(
    models: tuple[Path, dict], free_port: Callable[[], int]
) -> None:
    met: set[str] = set()

    def meet(url: str) -> int:
        answers = together(url, [{"x": 1.0}] * 20)
        assert {answer.status_code for answer in answers} == {200}, answers
        met.update(answer.headers["X-Request-ID"][:16] for answer in answers)  # each begins with a text of its own
        return len(met)

    with running(models[0], free_port(), WEB_CONCURRENCY="2") as (url, process):
        eventually(lambda: meet(url) == 2)
        killed = workers(process)[0]
        killed.kill()
        killed.wait()
        eventually(lambda: meet(url) == 3)


# Rows together, and apart


def together(url: str, bodies: list[Any]) -> list[httpx.Response]:
    """Ask from many clients at the same time."""

    async def ask() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as client:
            return await asyncio.gather(*(client.post("/predict", json=body) for body in bodies))

    return asyncio.run(ask())


def test_a_row_that_fails_leaves_its_neighbours_alone(tmp_path: Path, free_port: Callable[[], int]) -> None:
    save(tmp_path, 10.0)
    with running(tmp_path, free_port()) as (url, _):
        xs = [float(i % 40) for i in range(60)]
        xs[7] = xs[33] = 1e308  # ten times this is infinity
        answers = together(url, [{"x": x} for x in xs])
        for x, answer in zip(xs, answers, strict=True):
            assert answer.status_code == (422 if x == 1e308 else 200)
            if x == 1e308:
                (detail,) = answer.json()["detail"]
                assert (detail["type"], detail["loc"]) == ("model_error", ["body", 0])
            else:
                assert answer.json()["prediction"] == pytest.approx(10 * x, abs=1e-9)
        mixed = together(url, [[{"x": 1.0}, {"x": 1e308}], [{"x": 2.0}] * 3])
        assert mixed[0].json()["detail"][0]["loc"] == ["body", 1]
        assert [answer["prediction"] for answer in mixed[1].json()] == pytest.approx([20.0] * 3)


def test_an_estimator_that_looks_at_its_neighbours_gets_none(tmp_path: Path, free_port: Callable[[], int]) -> None:
    model = make_pipeline(FunctionTransformer(pd.DataFrame.rank), LinearRegression())
    save(tmp_path, 1.0, model)
    alone = model.predict(pd.DataFrame({"x": [3.0]}))[0]
    with running(tmp_path, free_port()) as (url, _):
        assert httpx.get(f"{url}/model").json()["batched"] is False
        answers = together(url, [{"x": float(i)} for i in range(30)])
        assert {answer.json()["prediction"] for answer in answers} == {alone}
        many = httpx.post(f"{url}/predict", json=[{"x": 1.0}, {"x": 3.0}]).json()
        assert [answer["prediction"] for answer in many] == [alone, alone]
        assert httpx.post(f"{url}/predict", json={"x": 1.0}).json()["prediction"] == alone
        assert figure(url, "takehome_rows_seen_before_total") == 0


def test_a_forest_saved_for_all_cores_is_served_on_one(tmp_path: Path, free_port: Callable[[], int]) -> None:
    X = pd.DataFrame({"x": np.arange(-50.0, 50.0)})
    y = pd.Series((X["x"] > 0).astype(int), name="y")
    forest = RandomForestClassifier(20, n_jobs=-1, random_state=0)
    model = make_pipeline(FunctionTransformer(), forest).fit(X, y)
    takehome.save_model(model, X, y, name="forest", models_dir=tmp_path)
    with running(tmp_path, free_port()) as (url, process):
        rows = [{"x": float(x)} for x in range(-30, 30)]
        answers = together(url, rows)
        expected = model.predict_proba(pd.DataFrame(rows))
        assert [list(a.json()["probabilities"].values()) for a in answers] == expected.tolist()
        threads = len(list(Path(f"/proc/{process.pid}/task").iterdir())) if Path("/proc").exists() else 0
        assert threads < 20


def test_a_row_seen_before_needs_no_model(api: str) -> None:
    def ask(x: float) -> bytes:
        return httpx.post(f"{api}/predict", json={"x": x}).content

    before = figure(api, "takehome_rows_seen_before_total")
    assert ask(3.5) == ask(3.5)
    assert figure(api, "takehome_rows_seen_before_total") == before + 1
    for x in (4.0, 5.0, 3.5):
        ask(x)
    assert figure(api, "takehome_rows_seen_before_total") == before + 1, "two are kept: the oldest made room"


# On the event loop, and in the thread


def naps(folder: Path) -> None:
    """Save a model that sleeps as long as the row says."""
    X, y = pd.DataFrame({"seconds": [0.0, 0.001] * 10}), pd.Series(range(20), name="y")
    sleep = FunctionTransformer(pd.DataFrame.map, kw_args={"func": time.sleep})
    model = make_pipeline(sleep, FunctionTransformer(pd.isna), LinearRegression()).fit(X, y)
    takehome.save_model(model, X, y, name="Naps", models_dir=folder)


def test_health_answers_while_a_model_that_turned_slow_predicts(tmp_path: Path, free_port: Callable[[], int]) -> None:
    naps(tmp_path)
    with running(tmp_path, free_port(), ANSWER_CACHE="0") as (url, _), ThreadPoolExecutor(1) as client:
        for seconds in (0, 0, 0, 0.3):  # quick at first
            assert httpx.post(f"{url}/predict", json={"seconds": seconds}).status_code == 200
        slow = client.submit(httpx.post, f"{url}/predict", json={"seconds": 3}, timeout=PATIENCE)
        time.sleep(0.3)
        assert httpx.get(f"{url}/health").status_code == 200
        assert not slow.done()
        assert slow.result().status_code == 200


def test_rows_that_wait_are_predicted_together(tmp_path: Path, free_port: Callable[[], int]) -> None:
    naps(tmp_path)
    with running(tmp_path, free_port(), ANSWER_CACHE="0") as (url, _), ThreadPoolExecutor(1) as client:
        slow = client.submit(httpx.post, f"{url}/predict", json={"seconds": 1}, timeout=PATIENCE)
        time.sleep(0.3)
        assert {answer.status_code for answer in together(url, [{"seconds": 0}] * 40)} == {200}
        assert slow.result().status_code == 200
        assert figure(url, "takehome_batch_rows_sum") == 41
        assert figure(url, "takehome_batch_rows_count") < 10


def test_clients_answered_together_are_together_again_where_the_api_was_busy(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    naps(tmp_path)
    port, rounds = free_port(), 10
    with running(tmp_path, port, ANSWER_CACHE="0") as (url, process), ExitStack() as stack:
        clients = [stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", port))) for _ in range(6)]

        def ask(asking: list[http.client.HTTPConnection], seconds: float = 0.0) -> None:
            for client in asking:
                client.request("POST", "/predict", json.dumps({"seconds": seconds}), JSON)

        def stopped(asking: list[http.client.HTTPConnection], seconds: float = 0.0) -> None:
            process.send_signal(signal.SIGSTOP)
            ask(asking, seconds)
            time.sleep(0.01)
            process.send_signal(signal.SIGCONT)

        waited_for = 0
        for _ in range(rounds):
            for _ in range(50):  # the last wait that was in vain is forgotten
                ask(clients[:1])
                assert clients[0].getresponse().read()
            stopped(clients, 0.003)  # 18 ms together: then one is waited for for 4 ms
            assert [client.getresponse().read() for client in clients]
            batches = figure(url, "takehome_batch_rows_count")
            ask(clients[:1])
            time.sleep(0.001)
            stopped(clients[1:])
            assert [client.getresponse().read() for client in clients]
            waited_for += figure(url, "takehome_batch_rows_count") == batches + 1
        assert waited_for > rounds / 2, "the first one was predicted alone, with all others at the door"


def test_clients_who_come_at_the_same_time_are_let_in_together(tmp_path: Path, free_port: Callable[[], int]) -> None:
    naps(tmp_path)
    slow, quick = ({"seconds": seconds} for seconds in (0.01, 0.0))
    with running(tmp_path, free_port(), ANSWER_CACHE="0") as (url, process), ExitStack() as stack:
        stop = threading.Event()

        def ask() -> None:
            with httpx.Client(timeout=PATIENCE) as client:
                while not stop.is_set():
                    client.post(f"{url}/predict", json=slow)

        asking = [threading.Thread(target=ask) for _ in range(3)]
        for thread in asking:
            thread.start()
            stack.callback(thread.join)
        stack.callback(stop.set)
        time.sleep(1)
        before, body = figure(url, "takehome_batch_rows_count"), json.dumps(quick).encode()
        process.send_signal(signal.SIGSTOP)
        clients = [stack.enter_context(connect(url)) for _ in range(400)]
        for client in clients:
            client.sendall(head("/predict", len(body)) + body)
        process.send_signal(signal.SIGCONT)
        assert all(client.recv(1 << 16).startswith(b"HTTP/1.1 200") for client in clients)
        assert figure(url, "takehome_batch_rows_count") - before < 14, "with each batch a few were let in"


def test_an_estimator_may_run_an_event_loop_of_its_own(tmp_path: Path, free_port: Callable[[], int]) -> None:
    waits = FunctionTransformer(lambda X: asyncio.run(asyncio.sleep(0, X)))
    save(tmp_path, 3.0, make_pipeline(waits, LinearRegression(fit_intercept=False)))
    with running(tmp_path, free_port(), ANSWER_CACHE="0") as (url, _):
        for _ in range(3):
            answers = together(url, [{"x": float(i)} for i in range(20)])
            assert [answer.json()["prediction"] for answer in answers] == pytest.approx([3.0 * i for i in range(20)])


# Too much


def test_overload_is_told_and_a_client_that_goes_frees_its_work(tmp_path: Path, free_port: Callable[[], int]) -> None:
    naps(tmp_path)
    with running(tmp_path, free_port(), MOST_WAITING="5", ANSWER_CACHE="0") as (url, _):
        answers = together(url, [{"seconds": 0.5}] * 40)
        assert {answer.status_code for answer in answers} == {200, 503}
        refused = [answer for answer in answers if answer.status_code == 503]
        assert all(answer.headers["Retry-After"] and "waiting" in answer.json()["detail"] for answer in refused)
        body, clients = json.dumps([{"seconds": 0.1}] * 40).encode(), []
        for _ in range(4):
            client = connect(url)
            client.sendall(head("/predict", len(body)) + body)
            clients.append(client)
        time.sleep(0.7)
        for client in clients:
            client.close()
        began = time.monotonic()
        assert httpx.post(f"{url}/predict", json={"seconds": 0.0}, timeout=200).status_code == 200
        print(f"answered {time.monotonic() - began:.1f} s after 16 s of work had been left")


def test_too_many_rows_are_refused_and_many_keep_nobody_waiting(api: str, models: tuple[Path, dict]) -> None:
    folder, slopes = models
    refused = httpx.post(f"{api}/predict", json=[{"x": 1.0}] * 20_001)
    assert refused.status_code == 413
    assert "20,001 rows" in refused.json()["detail"]
    xs = [i / 1000 for i in range(20_000)]
    with Load(api, slopes, clients=1) as load:
        eventually(lambda: load.count["right"])
        before = load.count["right"]
        answers = httpx.post(f"{api}/predict", json=[{"x": x} for x in xs], timeout=PATIENCE).json()
        meanwhile = load.count["right"] - before
        eventually(lambda: load.count["right"] > 20)
    load.check()
    assert meanwhile > 2, "more than what was asked before the many came in, and after they were answered"
    expected = slopes[str(Store(folder).current())] * np.array(xs)
    assert np.allclose([answer["prediction"] for answer in answers], expected, rtol=0, atol=1e-9)


BAD_BODIES = (
    b"",
    b"[" * 200_000,
    b'{"x":' * 50_000,
    b'{"x":NaN}',
    b'{"x":Infinity}',
    b'{"x":-Infinity}',
    b'{"x":' + b"9" * 400 + b"}",
    b'{"x":1e400}',
    b'{"x":1,"x":2}',
    b'[{"x":1,"x":2}]',
    '{"x":1}'.encode("utf-16"),
    b'{"x":"\xff"}',
    b'{"x":"\\ud800"}',
    b'{"x\\ud800":1}',
    b'{"x":1}}',
    b'{"x":true}',
    b"null",
    b"[[[]]]",
    b'{"version":"\\ud800"}',
)


def test_bad_bodies_are_refused_and_never_our_error(api: str) -> None:
    doors = [("POST", "/predict"), ("POST", "/predict?strict=true&log=false"), ("PUT", "/models/current")]
    address, found = api.removeprefix("http://"), Counter[int]()
    for method, path in doors:
        for body in BAD_BODIES:
            answer = httpx.request(method, api + path, content=body, headers=JSON)
            assert answer.status_code == 422, (body[:50], answer.text)
            assert all(set(detail) == {"type", "loc", "msg"} for detail in answer.json()["detail"])
            found[answer.status_code] += 1
        for media_type in ("text/plain", "application/x-www-form-urlencoded", "image/png", "application/jso\xff"):
            with closing(http.client.HTTPConnection(address, timeout=PATIENCE)) as connection:
                connection.request(method, path, b'{"x":1}', {"Content-Type": media_type})
                assert connection.getresponse().status == 415
            found[415] += 1
        with closing(connect(api)) as client:
            client.sendall(head(path, -1, method))
            sent, chunk = 0, b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
            with suppress(ConnectionError):
                while sent < 1000:
                    client.sendall(chunk)
                    sent += 1
            assert sent < 1000, "a body of 1 GB was not taken to its end"
    print(dict(found))
    assert httpx.post(f"{api}/predict", json={"x": 1.0}).status_code == 200


@pytest.mark.slow
def test_a_thousand_slow_clients_hold_nobody_up(models: tuple[Path, dict], free_port: Callable[[], int]) -> None:
    folder, slopes = models
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    body = json.dumps([{"x": 1.0}] * 20_000).encode()
    asked = head("/predict", len(body))
    with running(folder, free_port(), BODY_SECONDS="3") as (url, process), ExitStack() as slow:
        before = memory(process.pid)
        for i in range(1000):
            slow.enter_context(connect(url)).sendall([b"POST /pre", asked, asked + body[: i + 1]][i % 3])
        for _ in range(20):  # these read nothing of their answers
            client = slow.enter_context(connect(url))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(asked + body)
        with Load(url, slopes) as load:
            time.sleep(6)
        load.check()
        print(f"memory: {before} MB before, {memory(process.pid)} MB with 1,020 slow clients")


def memory(process: int) -> int:
    """Return the megabytes that a process holds, 0 where there is no /proc."""
    status = Path(f"/proc/{process}/status")
    return int(status.read_text().partition("VmRSS:")[2].split()[0]) // 1024 if status.exists() else 0
