"""`takehome.cluster()` with real schedulers and workers: processes of this machine, and containers."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import distributed
import httpx
import nbformat
import numpy as np
import pandas as pd
import pytest
import sklearn
import takehome
import websocket
from joblib import Parallel, delayed
from kernel import kernel
from nbclient import NotebookClient
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LassoCV, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from stack import FORGED, OWNERS, POWERLESS, Stack
from takehome.errors import TakehomeError
from takehome.verification.cells import words
from waiting import eventually

ROOT = Path(__file__).parents[1]
DASK = str(Path(sys.executable).with_name("dask"))
PRELOADS = ROOT / "containers/python"


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, free_port: Callable[[], int], folder: Path, **settings: str) -> None:
        self.port, self.dashboard, self.folder = free_port(), free_port(), folder
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.start(
            "scheduler", "--host=127.0.0.1", f"--port={self.port}", f"--dashboard-address=127.0.0.1:{self.dashboard}",
            f"--preload={PRELOADS / 'dashboard.py'}", **settings,
        )  # fmt: skip

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start a program of Dask's, set as in the container."""
        with (self.folder / f"{len(self.processes)}.log").open("wb") as log:
            command, env = [DASK, *arguments], os.environ | {"OMP_NUM_THREADS": "1"} | settings
            self.processes.append(subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=self.folder))
        return self.processes[-1]

    def work(self, **settings: str) -> subprocess.Popen[bytes]:
        """Start a worker."""
        return self.start(
            "worker", self.address, "--nthreads=1", "--no-nanny", "--memory-limit=0", "--no-dashboard",
            f"--local-directory={self.folder}", f"--preload={PRELOADS / 'worker.py'}", **settings,
        )  # fmt: skip

    def counts(self) -> dict[str, int]:
        """Return what the scheduler counts; nothing before it listens."""
        return dict(httpx.get(f"http://127.0.0.1:{self.dashboard}/json/counts.json").json())

    def close(self) -> None:
        """End all of it."""
        for process in self.processes:
            process.kill()
            process.wait()


@contextmanager
def running(free_port: Callable[[], int], folder: Path, workers: int, **settings: str) -> Iterator[Cluster]:
    with closing(Cluster(free_port, folder, **settings)) as cluster, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DASK_SCHEDULER_ADDRESS", cluster.address)
        for _ in range(workers):
            cluster.work()
        eventually(lambda: cluster.counts()["workers"] == workers)
        yield cluster


@pytest.fixture(scope="module")
def shared(free_port: Callable[[], int], tmp_path_factory: Any) -> Iterator[Cluster]:
    """Give a cluster that no test breaks."""
    with running(free_port, tmp_path_factory.mktemp("shared"), workers=2) as cluster:
        yield cluster


@pytest.fixture
def own(free_port: Callable[[], int], tmp_path: Path) -> Callable[..., Any]:
    """Return a function that starts a cluster to be broken."""
    return lambda workers, **settings: running(free_port, tmp_path, workers, **settings)


def rows() -> tuple[pd.DataFrame, pd.Series]:
    X, y = make_classification(4_000, 12, n_informative=8, random_state=0)
    return pd.DataFrame(X, columns=[f"c{i}" for i in range(12)]), pd.Series(y, name="y")


class Slow(TransformerMixin, BaseEstimator):
    """Takes its time."""

    def __init__(self, seconds: float = 0.1) -> None:
        self.seconds = seconds

    def fit(self, X: Any, y: Any = None) -> "Slow":  # noqa: ARG002
        time.sleep(self.seconds)
        return self

    def transform(self, X: Any) -> Any:
        return X


class Deadly(Slow):
    """Ends its process, as the system does where memory runs out."""

    def fit(self, X: Any, y: Any = None) -> "Deadly":  # noqa: ARG002
        os.kill(os.getpid(), signal.SIGKILL)
        return self


def search(step: Any, candidates: int = 6) -> GridSearchCV:
    grid = {"logisticregression__C": np.logspace(-3, 2, candidates)}
    return GridSearchCV(make_pipeline(step, LogisticRegression()), grid, cv=4)


@contextmanager
def told(*words: str) -> Iterator[None]:
    """Expect that work in the cluster ends with one message."""
    with pytest.raises(TakehomeError) as refused, takehome.cluster():
        yield
    assert all(word in str(refused.value) for word in words), refused.value


def scores() -> list[bytes]:
    """Fit a search, a forest and a path of coefficients; return their figures to the last bit."""
    X, y = rows()
    found = search(Slow(0.01)).fit(X, y)
    forest = RandomForestClassifier(40, random_state=0).fit(X, y)
    lasso = LassoCV(cv=4).fit(X, y)
    figures = found.cv_results_["mean_test_score"], found.best_estimator_[-1].coef_, lasso.mse_path_, lasso.coef_
    return [np.ascontiguousarray(figure).tobytes() for figure in (*figures, forest.predict_proba(X))]


def test_scores_are_the_same_to_the_last_bit(
    shared: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with takehome.cluster():
        there = scores()
    said = capsys.readouterr()
    assert f"Parallel work runs on 2 workers of {shared.address}." in said.out
    assert "108/108 tasks" in said.err
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS")
    with takehome.cluster():
        here = scores()
    said = capsys.readouterr()
    assert "of this machine: no scheduler is named." in said.out
    assert "108/108 tasks" in said.err
    assert there == here


@pytest.mark.usefixtures("shared")
def test_the_work_is_done_by_the_workers() -> None:
    with takehome.cluster():
        places = Parallel()(delayed(os.getpid)() for _ in range(8))
    assert os.getpid() not in places
    assert len(set(places)) == 2


@pytest.mark.usefixtures("shared")
def test_code_of_the_notebook_and_beside_it_goes_along(tmp_path: Path) -> None:
    (tmp_path / "features.py").write_text("def double(frame):\n    return frame * 2\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import takehome\n"
        "from joblib import Parallel, delayed\n"
        "from features import double\n"
        "class Half:\n"
        "    def __init__(self, value): self.value = value / 2\n"
        "def both(value): return Half(double(value))\n"
        "with takehome.cluster():\n"
        "    halves = Parallel()(delayed(both)(i) for i in range(4))\n"
        "print([half.value for half in halves], {type(half) is Half for half in halves})\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=60)
    assert "[0.0, 1.0, 2.0, 3.0] {True}" in done.stdout, done.stdout + done.stderr


@pytest.mark.usefixtures("shared")
def test_a_task_gets_data_that_it_can_change_for_itself_alone() -> None:
    frame, array = rows()[0], np.zeros((200, 200))

    def spoil(frame: pd.DataFrame, array: np.ndarray) -> tuple[float, bool]:
        before, frame["c0"] = frame["c0"].sum(), 0.0
        return before, array.flags.writeable

    with takehome.cluster():
        assert set(Parallel()(delayed(spoil)(frame, array) for _ in range(8))) == {(frame["c0"].sum(), False)}
        array += 1
        assert Parallel()(delayed(np.sum)(array) for _ in range(2)) == [40_000, 40_000]


def test_a_killed_worker_costs_no_result(own: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    X, y = rows()
    expected = search(Slow(0.0)).fit(X, y).cv_results_["mean_test_score"]
    with own(workers=2) as cluster, takehome.cluster():
        victim = threading.Timer(1.5, cluster.processes[1].kill)
        victim.start()
        found = search(Slow(0.3)).fit(X, y)
        victim.join()
        assert eventually(lambda: cluster.counts()["workers"] == 1)
    assert found.cv_results_["mean_test_score"].tobytes() == expected.tobytes()
    assert "24/24 tasks" in capsys.readouterr().err


def test_a_worker_with_other_versions_is_refused_by_name(own: Callable[..., Any], tmp_path: Path) -> None:
    old = tmp_path / "old/scikit_learn-1.8.0.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: scikit-learn\nVersion: 1.8.0\n")
    with own(workers=1) as cluster, told(f"Worker localhost has scikit-learn 1.8.0; here is {sklearn.__version__}."):
        assert Parallel()(delayed(abs)(-1) for _ in range(2)) == [1, 1]
        cluster.work(PYTHONPATH=str(old.parent))
        eventually(lambda: cluster.counts()["workers"] == 2)
        Parallel()(delayed(abs)(-1) for _ in range(2))


def test_a_task_that_ends_its_workers_is_one_sentence(own: Callable[..., Any]) -> None:
    settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with own(workers=1, **settings), told("takes more memory than there is. Use fewer rows", "mem_limit of `worker`"):
        search(Deadly()).fit(*rows())


def test_so_it_is_without_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    with told("takes more memory than there is. Use fewer rows", "mem_limit of `python`"):
        search(Deadly()).fit(*rows())


def test_no_worker_left_is_one_sentence(own: Callable[..., Any]) -> None:
    settings = {"DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT": "2s"}
    with own(workers=1, **settings), told("The last worker is gone, and none came back."):
        search(Deadly()).fit(*rows())


def test_a_lost_scheduler_is_one_sentence(own: Callable[..., Any]) -> None:
    with own(workers=1) as cluster, told("The connection to the scheduler was lost"):
        threading.Timer(1.5, cluster.processes[0].kill).start()
        search(Slow(0.5)).fit(*rows())


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://scheduler.invalid:8786", "tcp://scheduler.invalid:8786 does not answer"),
        ("tcp://127.0.0.1:9", "tcp://127.0.0.1:9 does not answer (connection refused)"),
    ],
)
def test_without_a_scheduler_this_machine_does_the_work(
    address: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
    with takehome.cluster():
        assert Parallel()(delayed(abs)(-i) for i in range(3)) == [0, 1, 2]
    out = capsys.readouterr().out
    assert said in out
    assert out.count("\n") == 1


def test_another_server_is_not_taken_for_a_scheduler(
    shared: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", f"tcp://127.0.0.1:{shared.dashboard}")
    with takehome.cluster():
        assert Parallel()(delayed(abs)(-1) for _ in range(2)) == [1, 1]
    assert "does not answer (timed out)" in capsys.readouterr().out


def test_what_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "scheduler")
    with pytest.raises(TakehomeError, match=r"^DASK_SCHEDULER_ADDRESS='scheduler' is no address"), takehome.cluster():
        pass


@pytest.mark.parametrize("headers", [FORGED, {"Host": FORGED["Host"]}, {"Origin": FORGED["Origin"]}], ids="+".join)
def test_a_foreign_page_gets_nothing_from_the_dashboard(shared: Cluster, headers: dict[str, str]) -> None:
    address = f"127.0.0.1:{shared.dashboard}"
    for path in ("/status", "/health", "/json/counts.json", "/info/main/workers.html", "/sitemap.json", "/nothing"):
        assert httpx.get(f"http://{address}{path}", headers=headers).status_code == 403
    assert httpx.get(f"http://{address}/status").status_code == 200
    assert httpx.post(f"http://{address}/status", headers=headers).status_code == 403
    assert opened(address, {}) == 101
    assert opened(address, headers) == 403


def opened(address: str, headers: dict[str, str]) -> int:
    """Ask for the dashboard's websocket as a browser does; return the status."""
    page = httpx.get(f"http://{address}/status").text
    token = re.search(r'"token":"([^"]+)"', page)
    options: dict[str, Any] = {"origin": headers.get("Origin", f"http://{address}"), "host": headers.get("Host")}
    try:
        socket = websocket.create_connection(
            f"ws://{address}/status/ws", subprotocols=["bokeh", token[1] if token else ""], timeout=10, **options
        )
    except websocket.WebSocketBadStatusException as refused:
        return int(refused.status_code)
    with closing(socket):
        return int(socket.getstatus())


def test_a_browser_that_posts_to_the_scheduler_changes_nothing(shared: Cluster) -> None:
    with contextlib.suppress(httpx.HTTPError):
        httpx.post(f"http://127.0.0.1:{shared.port}/", content=b"\0" * 10_000, timeout=3)
    with takehome.cluster():
        assert Parallel()(delayed(abs)(-1) for _ in range(2)) == [1, 1]


def test_a_worker_that_is_asked_to_stop_does_so_in_the_middle_of_a_task(own: Callable[..., Any]) -> None:
    with own(workers=1) as cluster, takehome.cluster():
        client = distributed.get_client()
        task = client.submit(time.sleep, 60)
        eventually(lambda: cluster.counts()["processing"] == 1)
        cluster.processes[1].terminate()
        assert cluster.processes[1].wait(2) == -signal.SIGTERM
        task.cancel()


def test_the_notebook_shows_a_bar(shared: Cluster, tmp_path: Path) -> None:
    code = (
        "import takehome\nfrom joblib import Parallel, delayed\nimport time\nwith takehome.cluster():\n"
        "    Parallel()(delayed(time.sleep)(0.3) for _ in range(8))"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    with kernel() as manager:
        NotebookClient(notebook, km=manager, resources={"metadata": {"path": tmp_path}}).execute()
    line, bar = notebook.cells[0].outputs
    assert line.text == f"Parallel work runs on 2 workers of {shared.address}.\n"
    assert "8/8 tasks" in re.sub(r"\x1b\[[0-9;]*m", "", bar.data["text/plain"])
    assert words(notebook.cells[0]) == ""  # what `make verify` compares: another machine has another number of cores


@pytest.fixture(scope="module")
def stack(clone: Callable[[int], Stack], free_port: Callable[[], int]) -> Iterator[Stack]:
    """Start JupyterLab, a scheduler and two workers, with nothing to train or to load."""
    stack = clone(OWNERS[-1])
    stack.ports["DASHBOARD"] = free_port()
    (stack.folder / "volumes/notebooks/submission.ipynb").unlink()
    (stack.folder / "volumes/static/births.csv.gz").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMPOSE_PROFILES", "cluster")
        stack.compose("up", "--build", "--detach", "--wait", "--scale", "worker=2", "python", "scheduler", "worker")
        yield stack
        stack.compose("down", "--volumes", "--rmi", "local", "--timeout", "5", check=False)


def test_a_killed_container_costs_no_result(stack: Stack) -> None:
    code = """
        import os, time, numpy as np, takehome
        from sklearn.base import BaseEstimator
        from sklearn.datasets import make_classification
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV
        class Slow(LogisticRegression):
            def fit(self, X, y):
                time.sleep(0.4)
                return super().fit(X, y)
        def scores():
            with takehome.cluster():
                search = GridSearchCV(Slow(), {"C": np.logspace(-3, 2, 6)}, cv=4)
                return search.fit(*make_classification(2000, random_state=0)).cv_results_["mean_test_score"].tobytes()
        there = scores()
        del os.environ["DASK_SCHEDULER_ADDRESS"]
        print("identical:", there == scores())
    """
    counts = f"{stack.url('DASHBOARD')}/json/counts.json"
    with ThreadPoolExecutor() as pool:
        notebook = pool.submit(stack.run_in_kernel, textwrap.dedent(code))
        eventually(lambda: httpx.get(counts).json()["processing"] > 2)
        stack.run("docker", "kill", f"{stack.folder.name}-worker-1")
        assert httpx.get(counts).json()["workers"] == 1
        said = notebook.result()
    assert "runs on 2 workers of tcp://scheduler:8786." in said
    assert "identical: True" in said
    stack.compose("start", "worker")


def test_scheduler_and_workers_are_shut_in(stack: Stack) -> None:
    for service, user in (("scheduler", "57439"), ("worker", str(stack.owner))):
        eventually(lambda service=service, user=user: stack.powers(service) == {(user, *POWERLESS)})
        assert "Read-only" in stack.compose("exec", "-T", service, "touch", "/etc/hosts.new", check=False)
        rooms = stack.inspect(service, "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}")
        assert rooms == f"{stack.folder.name}_lab"
    ports = json.loads(stack.inspect("scheduler", "{{json .NetworkSettings.Ports}}"))
    assert ports == {"8787/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(stack.ports["DASHBOARD"])}]}
    assert json.loads(stack.inspect("worker", "{{json .NetworkSettings.Ports}}")) == {}
    assert "Read-only" in stack.execute("worker", "touch", "/static/made.csv", check=False)
    assert httpx.get(f"{stack.url('DASHBOARD')}/status", headers=FORGED).status_code == 403


def test_they_stop_when_they_are_told_to(stack: Stack) -> None:
    stack.compose("stop", "scheduler", "worker")
    assert {stack.inspect(s, "{{.State.ExitCode}}") for s in ("scheduler", "worker")} <= {"0", "143"}
