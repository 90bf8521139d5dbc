"""Replicas on two hosts, asked without a pause: what befalls some of them costs no more than what was in flight there.

SECOND_DOCKER_HOST is the engine of the other host, SWARM_ADDRESS this machine's address as that one knows it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest
import websocket
from object_store import serving
from waiting import eventually

SHAKY = (httpx.HTTPError, AssertionError, StopIteration, ValueError)  # of a swarm that changes

ROOT = Path(__file__).parents[1]
SECOND, ADDRESS = os.environ.get("SECOND_DOCKER_HOST", ""), os.environ.get("SWARM_ADDRESS", "")
ENGINES = (("docker",), ("docker", "--host", SECOND))
CADDY, REGISTRY = "caddy:2.11", "registry:3"
TAGS = ("first", "second")
CLIENTS = 8
SLOPES = (2.0, -3.0)
MODELS = """
import pandas as pd, sys, takehome
from sklearn.linear_model import LinearRegression
X = pd.DataFrame({"x": [float(x) for x in range(1000)]})
for slope in map(float, sys.argv[1:]):
    y = slope * X["x"] + 1
    takehome.save_model(LinearRegression().fit(X, y), X, y.rename("y"), name=f"{slope:g} times")
"""
# Runs in a container of the stack: what each replica of the API says.
ASK_EACH = """
import socket, sys, urllib.request
for address in sorted({a[4][0] for a in socket.getaddrinfo("tasks.fastapi", 8080)}):
    answer = urllib.request.urlopen(f"http://{address}:8080{sys.argv[1]}", timeout=2)
    print(answer.headers["X-Model-Version"], *answer.read().decode().split("\\n"), sep="\\t")
"""

pytestmark = pytest.mark.slow


def run(*command: str, check: bool = True, **env: str) -> str:
    """Run a command in the clone; return what it prints."""
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | env, text=True, timeout=300, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stdout
    return done.stdout


class Load:
    """Clients that ask one door without a pause, and check each answer against the model that it says it is from.

    Attributes
    ----------
    answered : right answers by version.
    failed : what the others were, each with the time that it took in seconds.
    """

    def __init__(self, url: str, slopes: dict[str, float]) -> None:
        self.answered: Counter[str] = Counter()
        self.failed: list[tuple[str, float]] = []
        self._url, self._slopes, self._end = url, slopes, Event()
        self._clients = [Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for client in self._clients:
            client.join()

    def _ask(self, x: int) -> None:
        with httpx.Client(base_url=self._url, timeout=5) as client:
            while not self._end.is_set():
                x, began = (x + CLIENTS) % 1000, time.monotonic()
                try:
                    answer = client.post("/predict", json={"x": x})
                    version = answer.headers["X-Model-Version"]
                    right = abs(answer.json()["prediction"] - self._slopes[version] * x - 1) < 1e-6
                    found = version if right else f"{version} answered {answer.text} for {x}"
                except (httpx.HTTPError, KeyError) as error:
                    right, found = False, f"{error!r}"
                if right:
                    self.answered[found] += 1
                else:
                    self.failed.append((found, time.monotonic() - began))


@dataclass
class Stack:
    """The stack that `make stack` deployed from this clone, with models, data and ports of its own.

    Attributes
    ----------
    said : the file with what the command has printed.
    """

    env: dict[str, str]
    doors: list[str]
    pages: list[str]
    said: Path

    @contextmanager
    def deploying(self, tag: str) -> Iterator[subprocess.Popen[bytes]]:
        """Type `make stack`, and give the running command: it ends when all replicas are as they should be."""
        env = os.environ | self.env | {"TAG": tag}
        with self.said.open("w") as said:
            command = subprocess.Popen(
                ["make", "stack"], cwd=ROOT, env=env, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            yield command
        finally:
            if command.poll() is None:
                os.killpg(command.pid, signal.SIGKILL)
                command.wait()

    def stands(self, command: subprocess.Popen[bytes], seconds: float) -> None:
        """Wait until the command has ended well."""
        with suppress(subprocess.TimeoutExpired):
            command.wait(seconds)
        assert command.returncode == 0, self.said.read_text()

    def container(self, service: str, engine: tuple[str, ...]) -> str | None:
        """Return the id of a running container of a service on an engine."""
        label = f"label=com.docker.swarm.service.name=takehome_{service}"
        return next(iter(run(*engine, "ps", "--quiet", "--filter", label).split()), None)

    def run_in(self, service: str, *command: str) -> str:
        """Run a command in a container of a service, wherever there is one; return what it prints."""
        found = ((engine, self.container(service, engine)) for engine in ENGINES)
        engine, container = next((engine, container) for engine, container in found if container)
        return run(*engine, "exec", container, *command)

    def each(self, path: str) -> list[list[str]]:
        """Ask each replica of the API; return its version and the lines of its answer."""
        found = self.run_in("fastapi", "python", "-c", ASK_EACH, path)
        return [line.split("\t") for line in found.splitlines()]

    def versions(self) -> list[str]:
        """Return the version that each replica serves."""
        return [version for version, *_ in self.each("/ready")]

    def logged(self, request: str) -> int:
        """Return how many rows of a request are in the log."""
        sql = f"SELECT count(*) FROM predictions WHERE request_id = '{request}'"
        return int(self.run_in("postgres", "psql", "-h", "127.0.0.1", "-U", "local", "-qtAc", sql))

    def load(self) -> Load:
        """Return clients of the first host's door."""
        known = httpx.get(f"{self.doors[0]}/models").raise_for_status().json()
        return Load(self.doors[0], {m["version"]: float(m["name"].split()[0]) for m in known})


@pytest.fixture(scope="module")
def address(need: Callable[[str, bool, str], None]) -> Iterator[str]:
    """Make a swarm of this machine and the second host; give that one's address."""
    need("second_host", bool(SECOND and ADDRESS), "SECOND_DOCKER_HOST and SWARM_ADDRESS name no second Docker host")
    state = run("docker", "info", "--format", "{{.Swarm.LocalNodeState}}").strip()
    need("second_host", state == "inactive", f"this engine's swarm is {state} already")
    with ExitStack() as leaving:
        run("docker", "swarm", "init", "--advertise-addr", ADDRESS)
        leaving.callback(run, "docker", "swarm", "leave", "--force")
        token = run("docker", "swarm", "join-token", "--quiet", "worker").strip()
        run("docker", "--host", SECOND, "swarm", "join", "--token", token, f"{ADDRESS}:2377")
        leaving.callback(run, "docker", "--host", SECOND, "swarm", "leave", "--force")
        yield run("docker", "--host", SECOND, "info", "--format", "{{.Swarm.NodeAddr}}").strip()


@pytest.fixture(scope="module")
def registry(address: str, free_port: Callable[[], int]) -> Iterator[str]:  # noqa: ARG001  # the hosts are there
    """Run a registry in the swarm, from which the second host gets its images; give its address on every host."""
    name, port = f"registry-{os.getpid()}", free_port()
    create = ("docker", "service", "create", "--quiet", "--name", name, "--endpoint-mode", "dnsrr")
    published = f"mode=host,published={port},target=5000"
    # Swarm's routing mesh would bring the port to each host, if the kernel here had what it is made of.
    mesh = ("caddy", "reverse-proxy", "--from", ":5000", "--to", f"{ADDRESS}:{port}")
    with ExitStack() as leaving:
        # What a host pulled has no tag.
        for engine, named in zip(ENGINES, ("{{.Repository}}:{{.Tag}}", "{{.ID}}"), strict=True):
            leaving.callback(forget, engine, f"127.0.0.1:{port}/*", named)
        leaving.callback(run, "docker", "service", "rm", name)
        run(*create, "--constraint", "node.role==manager", "--publish", published, REGISTRY)
        run("sh", "-c", f"docker save {CADDY} | docker --host {SECOND} load")
        run(*ENGINES[1], "run", "--detach", "--name", name, "--publish", f"127.0.0.1:{port}:5000", CADDY, *mesh)
        leaving.callback(run, *ENGINES[1], "rm", "--force", name)
        yield f"127.0.0.1:{port}"


def forget(engine: tuple[str, ...], images: str, named: str) -> None:
    """Remove images, once no container of the stack needs them any more."""

    def gone() -> bool | str:
        found = run(*engine, "images", "--format", named, images).split()
        return not found or run(*engine, "rmi", "--force", *found)

    eventually(gone, not_yet=SHAKY)


@pytest.fixture(scope="module")
def empty(
    address: str, registry: str, free_port: Callable[[], int], tmp_path_factory: Any
) -> Iterator[tuple[Stack, subprocess.Popen[bytes]]]:
    """Deploy the stack where no model was saved yet; give it with the command that waits for one."""
    ports = {name: str(free_port()) for name in ("API_PORT", "STREAMLIT_PORT")}
    api, page = ([f"http://{host}:{port}" for host in (ADDRESS, address)] for port in ports.values())
    data = tmp_path_factory.mktemp("postgres")
    data.chmod(0o755)
    with serving(free_port(), host=ADDRESS) as store:
        env = ports | store.environment | {
            "REGISTRY": registry,
            "COMPOSE_FILE": "docker-compose.yml:compose.store.yml",
            "MODELS_DIR": f"{store.url}/models",
            "MODELS_VOLUME": "models",
            "POSTGRES_VOLUME": str(data),
        }  # fmt: skip
        stack = Stack(env, api, page, data.with_name("said"))
        listing = ("docker", "service", "ls", "--quiet", "--filter", "label=com.docker.stack.namespace=takehome")
        with ExitStack() as leaving:
            leaving.callback(run, "docker", "stack", "rm", "takehome")
            command = leaving.enter_context(stack.deploying(TAGS[0]))
            eventually(lambda: run(*listing) or command.poll() is not None, 600)  # images are built, and pushed
            assert command.poll() is None, stack.said.read_text()
            yield stack, command
    for engine in ENGINES:
        eventually(lambda engine=engine: run(*engine, "volume", "rm", "--force", "takehome_models"), not_yet=SHAKY)


@pytest.fixture(scope="module")
def stack(empty: tuple[Stack, subprocess.Popen[bytes]]) -> Stack:
    """Save two models, and wait until the stack stands."""
    stack, command = empty
    slopes = [str(slope) for slope in SLOPES]
    run(sys.executable, "-c", MODELS, *slopes, **stack.env)
    stack.stands(command, 120)
    return stack


def test_without_a_model_each_door_says_so(empty: tuple[Stack, Any]) -> None:
    for door in empty[0].doors:
        answer = eventually(lambda door=door: httpx.get(f"{door}/ready", timeout=20), not_yet=SHAKY)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert "it needs a model" in answer.json()["detail"]


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}], ids=str)
def test_each_door_answers_and_refuses_foreign_pages(stack: Stack, headers: dict[str, str]) -> None:
    for door in stack.doors + stack.pages:
        assert httpx.get(door, headers={"Origin": door}, follow_redirects=True).status_code == 200
        assert httpx.get(door, headers=headers).status_code == 403


def test_all_replicas_log_into_one_table_even_what_was_asked_while_it_was_away(stack: Stack) -> None:
    request, asked = f"logged-{time.monotonic_ns()}", 40
    run("docker", "service", "scale", "--detach", "takehome_postgres=0")
    for x in range(asked):
        httpx.post(f"{stack.doors[x % 2]}/predict", json={"x": x}, headers={"X-Request-ID": request}).raise_for_status()
    figures = ["\n".join(lines) for _, *lines in stack.each("/metrics")]
    assert all('takehome_requests_total{path="/predict",status="200"}' in each for each in figures)
    run("docker", "service", "scale", "--detach", "takehome_postgres=1")
    eventually(lambda: stack.logged(request) == asked, not_yet=SHAKY)


def test_visitors_stay_with_a_replica_of_the_page(stack: Stack) -> None:
    def connections(engine: tuple[str, ...]) -> int:
        page = stack.container("streamlit", engine)
        assert page
        listed = run(*engine, "exec", page, "cat", "/proc/net/tcp", "/proc/net/tcp6")
        states = [line.split()[1:4] for line in listed.splitlines()]
        return sum(local.endswith(f":{8501:04X}") and state == "01" for local, _, state in states)

    with httpx.Client(base_url=stack.pages[0]) as visitor, ExitStack() as streams:
        visitor.get("/").raise_for_status()
        cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
        before = [connections(engine) for engine in ENGINES]
        for page in stack.pages * 4:
            stream = page.replace("http", "ws") + "/_stcore/stream"
            streams.enter_context(closing(websocket.create_connection(stream, cookie=cookie, origin=page, timeout=10)))
        more = [connections(engine) - then for engine, then in zip(ENGINES, before, strict=True)]
    assert sorted(more) == [0, 8]


def test_a_rolling_update_fails_no_request(stack: Stack) -> None:
    with stack.load() as load, stack.deploying(TAGS[1]) as command:
        stack.stands(command, 180)
    running = run("docker", "stack", "ps", "takehome", "--filter", "desired-state=running", "--format", "{{.Image}}")
    assert running.count(f"fastapi:{TAGS[1]}") == running.count(f"streamlit:{TAGS[1]}") == 2, running
    assert load.failed == []
    assert sum(load.answered.values()) > 100


def test_all_replicas_swap_the_model_and_each_answer_is_its_versions(stack: Stack) -> None:
    new, old = (m["version"] for m in httpx.get(f"{stack.doors[0]}/models").json())
    assert stack.versions() == [new, new]
    with stack.load() as load:
        time.sleep(1)
        httpx.put(f"{stack.doors[0]}/models/current", json={"version": old}).raise_for_status()
        asked = time.monotonic()
        eventually(lambda: stack.versions() == [old, old], not_yet=SHAKY)
        print(f"all replicas on one version after {time.monotonic() - asked:.1f} s")
        time.sleep(1)
    assert load.failed == []
    assert set(load.answered) == {old, new}


@pytest.fixture(scope="module")
def spread(stack: Stack) -> Stack:
    """Scale to three, so that at least one replica is on each host, wherever Swarm had put two."""
    run("docker", "service", "scale", "takehome_fastapi=3", "takehome_streamlit=3")
    return stack


def test_a_killed_replica_costs_no_more_than_its_open_requests(spread: Stack) -> None:
    killed = spread.container("fastapi", ENGINES[0])
    assert killed
    with spread.load() as load:
        time.sleep(1)
        run("docker", "kill", "--signal", "KILL", killed)
        eventually(lambda: len(spread.versions()) == 3, not_yet=SHAKY)
    assert len(load.failed) <= CLIENTS, load.failed
    assert sum(load.answered.values()) > 100


def test_a_lost_host_costs_no_more_than_its_open_requests(spread: Stack) -> None:
    known = json.loads(run("ip", "-json", "-4", "address", "show", "to", ADDRESS))
    cable = next(link["ifname"] for link in known if link)
    with spread.load() as load:
        time.sleep(1)
        run("ip", "link", "set", "dev", cable, "down")
        try:
            time.sleep(15)
            assert httpx.get(spread.pages[0], timeout=20).status_code == 200
        finally:
            run("ip", "link", "set", "dev", cable, "up")
    assert len(load.failed) <= CLIENTS, load.failed
    assert sum(load.answered.values()) > 100
    ready = ("docker", "node", "ls", "--format", "{{.Status}}")
    eventually(lambda: run(*ready).split() == ["Ready", "Ready"], not_yet=SHAKY)
