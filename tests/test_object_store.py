"""Models in an object store, or an FTP server: savers, the API and the command line as real processes."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import takehome
from filesystems import READER, USER
from object_store import ObjectStore, account, serving
from obstore.store import from_url
from serving import Load, choose, running, save
from sklearn.linear_model import LinearRegression
from takehome.errors import TakehomeError
from takehome.settings import open_store
from waiting import PATIENCE, eventually

FILES = ("model.joblib", "model.json")
CUT_KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBgkq\n-----END PRIVATE KEY-----"
TAKEHOME = Path(sys.executable).with_name("takehome")
# Saves a version that is in the store already under a new name.
SAVER = """
import json, shutil, sys
from pathlib import Path
from takehome.settings import open_store
store = open_store(sys.argv[1], Path(sys.argv[2]))
source = Path(sys.argv[3])
version, staged = store.stage()
shutil.copy(source / "model.joblib", staged)
(staged / "model.json").write_text(json.dumps(json.loads((source / "model.json").read_text()) | {"version": version}))
print(version, flush=True)
store.commit(staged, version)
"""


@pytest.fixture(scope="module", autouse=True)
def mirrors(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Let this process save into the store; give the folder of its copies."""
    folder = tmp_path_factory.mktemp("mirrors")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in object_store.environment.items():
            patch.setenv(name, value)
        patch.setenv("MODELS_MIRROR", str(folder))
        yield folder


@pytest.fixture
def url(object_store: ObjectStore) -> str:
    """Give a folder in the bucket that nobody else uses."""
    return _folder(object_store)


@pytest.fixture(params=["object_store", "azure", "google", "ftp", "sftp"])
def any_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give such a folder in each kind of store."""
    store = request.getfixturevalue(request.param)
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return _folder(store)


def _folder(store: ObjectStore) -> str:
    return f"{store.url}/{uuid.uuid4().hex}/models"


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a version of 20 MB."""
    folder, estimator = tmp_path_factory.mktemp("heavy"), LinearRegression(fit_intercept=False)
    estimator.ballast = np.random.default_rng(1).bytes(20 << 20)
    return folder / save(folder, 7.0, estimator)


def behind(url: str) -> Any:
    """Return what is in a store; a server's files are this machine's."""
    return from_url(re.sub("^s?ftp://[^/]+", "file://", url))


def paths(url: str) -> set[str]:
    return {meta["path"] for page in behind(url).list() for meta in page}


def current(url: str) -> str:
    return bytes(behind(url).get("current").bytes()).decode().strip()


def told(api: str) -> str:
    """Return what the API says of the store, in both places the same."""
    ready, model = httpx.get(f"{api}/ready").json(), httpx.get(f"{api}/model").json()
    return str(ready.get("store")) if ready.get("store") == model.get("store") else ""


def copy_of(version: str, url: str, mirrors: Path) -> Path:
    return open_store(url, mirrors).path(version)


def saver(url: str, mirror: Path, source: Path) -> subprocess.Popen[str]:
    """Start to save a version once more."""
    command = [sys.executable, "-c", SAVER, url, str(mirror), str(source)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_six_swaps_through_the_store_fail_no_request(
    any_url: str, free_port: Callable[[], int], tmp_path: Path
) -> None:
    slopes = {save(any_url, 1.0): 1.0}
    with (
        running(any_url, free_port(), MODELS_MIRROR=str(tmp_path), WEB_CONCURRENCY="2") as (api, _),
        Load(api, slopes, clients=1) as load,
    ):
        second = save(any_url, 2.0)
        slopes[second] = 2.0
        eventually(lambda: httpx.get(f"{api}/ready").json()["version"] == second)
        for number in range(4):
            choose(api, list(slopes)[number % 2])
        assert current(any_url) == second
        back = subprocess.run(
            [TAKEHOME, "models", "--use", min(slopes)], env=os.environ | {"MODELS_DIR": any_url}, check=False
        )
        assert back.returncode == 0
        eventually(lambda: httpx.get(f"{api}/ready").json()["version"] == min(slopes))
        assert told(api) == "None"
        listed = {version["version"]: version["current"] for version in httpx.get(f"{api}/models").json()}
        assert listed == {min(slopes): True, second: False}
    load.check()
    assert paths(any_url) == {"current", *(f"{version}/{file}" for version in slopes for file in FILES)}


@pytest.mark.slow
def test_without_its_store_an_api_serves_its_own_copy(free_port: Callable[[], int], tmp_path: Path) -> None:
    port, address = free_port(), free_port()
    with serving(port) as store:
        url = f"{store.url}/models"
        reach = store.environment | {"MODELS_MIRROR": str(tmp_path / "copy"), "LOG_LEVEL": "debug"}
        with pytest.MonkeyPatch.context() as patch, (tmp_path / "log").open("wb") as log:
            patch.setenv("AWS_ENDPOINT_URL", store.endpoint)
            slopes = {(version := save(url, 1.0)): 1.0}
            with running(url, address, log, **reach) as (api, _):
                eventually(lambda: httpx.get(f"{api}/models").json())
                store.send(signal.SIGSTOP)
                eventually(lambda: "no answer in time" in told(api))
                store.send(signal.SIGCONT)
                eventually(lambda: told(api) == "None")
                store.send(signal.SIGKILL)
                eventually(lambda: "nobody answers there" in told(api))
            with running(url, address, log, **reach) as (api, _), Load(api, slopes, clients=1) as load:
                eventually(lambda: "nobody answers there" in told(api))
                assert told(api).endswith(f"UTC the copy here answers: {version}.")
                assert [known["version"] for known in httpx.get(f"{api}/models").json()] == [version]
                refused = httpx.put(f"{api}/models/current", json={"version": version})
                assert refused.status_code == 503
                assert "nobody answers there" in refused.json()["detail"]
                with pytest.raises(TakehomeError, match="nobody answers there"):
                    save(url, 3.0)
                with serving(port):
                    eventually(lambda: "holds no current model any more" in told(api))
                    slopes[newer := save(url, 2.0)] = 2.0
                    eventually(lambda: httpx.get(f"{api}/ready").json()["version"] == newer)
                    assert told(api) == "None"
                    shown = "".join(httpx.get(f"{api}/{door}").text for door in ("model", "ready", "metrics", "docs"))
            load.check()
    for secret in (store.environment["AWS_ACCESS_KEY_ID"], store.environment["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in shown + (tmp_path / "log").read_text()
    assert "nobody answers there" in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_an_upload_that_is_not_whole_is_not_served(url: str, free_port: Callable[[], int], tmp_path: Path) -> None:
    version, store = save(url, 1.0), from_url(url)
    whole = {file: bytes(store.get(f"{version}/{file}").bytes()) for file in FILES}
    new = "20270101-000000"
    whole["model.json"] = json.dumps(json.loads(whole["model.json"]) | {"version": new}).encode()
    with (
        running(url, free_port(), MODELS_MIRROR=str(tmp_path)) as (api, _),
        Load(api, {version: 1.0, new: 1.0}, clients=1) as load,
    ):

        def says(reason: str) -> None:
            eventually(lambda: reason in told(api))
            assert httpx.get(f"{api}/ready").json()["version"] == version

        store.put("current", b"../../etc/passwd")
        says("doesn't name a version")
        store.put("current", new.encode())
        says(f"model {new} is not whole: model.joblib is missing")
        store.put(f"{new}/model.joblib", whole["model.joblib"][:100])
        says(f"model {new} is not whole: model.json is missing")
        store.put(f"{new}/model.json", whole["model.json"][:1000])
        says("model.json is not what takehome writes")
        store.put(f"{new}/model.json", whole["model.json"])
        says("model.joblib was changed or cut")
        assert not (tmp_path / new).exists()
        store.put(f"{new}/model.joblib", whole["model.joblib"])
        eventually(lambda: httpx.get(f"{api}/ready").json()["version"] == new)
        assert told(api) == "None"
    load.check()


@pytest.mark.slow
def test_a_save_killed_at_any_instant_leaves_a_whole_model(
    object_store: ObjectStore, heavy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = [f"{object_store.url}/killed/{number}" for number in range(8)]
    old = save(urls[0], 1.0)
    stored = {path: bytes(from_url(urls[0]).get(path).bytes()) for path in paths(urls[0])}
    for url in urls[1:]:
        for path, content in stored.items():
            from_url(url).put(path, content)

    def kill(number: int) -> None:
        with saver(urls[number], tmp_path / f"saver{number}", heavy) as process:
            assert process.stdout and process.stdout.readline()
            time.sleep(0.1 * number)
            process.kill()

    threads = [threading.Thread(target=kill, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monkeypatch.setenv("MODELS_MIRROR", str(tmp_path / "reader"))
    found = [takehome.load_model(models_dir=url).metadata.version for url in urls]
    print(f"{found.count(old)} of 8 killed saves left the old model, the others the new one")
    for url in urls:
        assert takehome.load_model(old, models_dir=url).metadata.version == old


@pytest.mark.parametrize(
    ("any_url", "name"), [("object_store", "s3a"), ("azure", "abfs"), ("google", "gcs")], indirect=["any_url"]
)
def test_another_name_of_a_store_is_the_same_store(any_url: str, name: str) -> None:
    version, other = save(any_url, 1.0), f"{name}://{any_url.partition('://')[2]}"
    assert takehome.load_model(models_dir=other).metadata.version == version
    assert save(other, 2.0) == current(any_url)


@pytest.mark.slow
def test_savers_at_the_same_time_save_models_of_their_own(any_url: str, mirrors: Path, tmp_path: Path) -> None:
    sources = [copy_of(save(any_url, slope), any_url, mirrors) for slope in (1.0, 2.0)]
    savers = [saver(any_url, tmp_path / str(number), sources[number % 2]) for number in range(4)]
    versions = [process.communicate(timeout=60)[0].strip() for process in savers]
    assert [process.returncode for process in savers] == [0] * 4
    assert len({*versions}) == 4
    assert current(any_url) in versions
    for number, version in enumerate(versions):
        estimator: Any = takehome.load_model(version, models_dir=any_url).estimator
        assert estimator.coef_[0] == pytest.approx(1.0 + number % 2)


@pytest.mark.slow
def test_the_last_ten_are_kept_everywhere(any_url: str, mirrors: Path, tmp_path: Path) -> None:
    source = copy_of(save(any_url, 1.0), any_url, mirrors)
    remote = behind(any_url)
    for number in range(12):
        for file in FILES:
            remote.put(f"20250101-0000{number:02}/{file}", (source / file).read_bytes())
    unfinished = "20240101-000000/model.joblib"  # of a save that goes on elsewhere
    remote.put(unfinished, b"")
    before = open_store(any_url, tmp_path)
    before.sync()
    assert before.versions() == [f"20250101-0000{number:02}" for number in range(3, 12)] + [source.name]
    newest = save(any_url, 2.0)
    before.sync()
    kept = [f"20250101-0000{number:02}" for number in range(4, 12)] + [source.name, newest]
    assert before.versions() == kept
    (before.path(newest) / "model.joblib").write_bytes(b"damaged")
    before.sync()
    assert takehome.load_model(newest, models_dir=before.folder).metadata.version == newest
    whole = {f"{version}/{file}" for version in kept for file in FILES}
    assert paths(any_url) == {"current", unfinished} | whole


@pytest.fixture
def small_disk(tmp_path: Path, need: Callable[[str, bool, str], None]) -> Iterator[Path]:
    """Give a folder that holds 8 MB."""
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)]
    made = subprocess.run(command, capture_output=True, check=False)
    need("mount", made.returncode == 0, "only root can make a small disk")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.slow
def test_no_room_for_a_model_leaves_the_old_one(
    url: str, heavy: Path, small_disk: Path, tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> None:
    version = save(url, 1.0)
    with running(url, free_port(), MODELS_MIRROR=str(small_disk)) as (api, _):
        with saver(url, tmp_path_factory.mktemp("saver"), heavy) as process:
            assert process.wait() == 0
        eventually(lambda: "can't take a model: No space left on device. Free some space" in told(api))
        assert httpx.get(f"{api}/ready").json()["version"] == version


@pytest.mark.slow
def test_a_version_that_has_no_room_is_no_reason_to_doubt_the_current_one(
    url: str, heavy: Path, small_disk: Path, tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> None:
    with saver(url, tmp_path_factory.mktemp("saver"), heavy) as process:
        assert process.wait() == 0
    version = save(url, 1.0)
    with running(url, free_port(), MODELS_MIRROR=str(small_disk)) as (api, _):
        eventually(lambda: httpx.get(f"{api}/ready").json().get("version") == version)
        time.sleep(3)  # and stays so: the other one is tried again
        assert httpx.get(f"{api}/ready").json()["store"] is None
    assert [found.name for found in small_disk.glob("*/2*")] == [version]


@pytest.mark.slow
def test_a_choice_does_not_wait_for_a_model_that_is_being_fetched(
    url: str, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    version = save(url, 1.0)
    with running(url, free_port(), MODELS_MIRROR=str(tmp_path)) as (api, _):
        eventually(lambda: httpx.get(f"{api}/ready").json().get("version") == version)
        with next(tmp_path.glob("*/.lock")).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            answer = httpx.put(f"{api}/models/current", json={"version": version}, timeout=PATIENCE)
        assert answer.status_code == 503 and "another model is being fetched" in answer.json()["detail"]
        choose(api, version)


def test_a_process_that_proves_a_model_knows_no_credentials(url: str) -> None:
    with pytest.raises(TakehomeError, match=r"it answered .* 0\.0} where the notebook got .* 1\.0}"):
        save(url, 1.0, Spy())
    assert paths(url) == set(), "what was claimed is given back"


class Spy(LinearRegression):
    """Answers whether it sees the store's credentials."""

    def predict(self, X: Any) -> np.ndarray:
        """Look around."""
        return np.full(len(X), float("AWS_SECRET_ACCESS_KEY" in os.environ))


# What can be wrong with the store


def sentence(url: str, folder: Path, **variables: str | None) -> str:
    """Return what opening the store ends with."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.delenv(name, raising=False) if value is None else patch.setenv(name, value)
        with pytest.raises(TakehomeError) as caught:
            open_store(url, folder).sync()
    assert caught.value.__suppress_context__ or not caught.value.__context__, "the store's own words may hold keys"
    return str(caught.value)


WRONG: dict[str, tuple[dict[str, str | None], str]] = {
    "name": ({"AWS_ENDPOINT_URL": "http://store.invalid:9000"}, "its name doesn't resolve. Check AWS_ENDPOINT_URL"),
    "port": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "nobody answers there. Check AWS_ENDPOINT_URL"),
    "nonsense": ({"AWS_ENDPOINT_URL": "storage"}, "AWS_ENDPOINT_URL is no address. Write it as https://host"),
    "open": ({"AWS_ALLOW_HTTP": None}, "set AWS_ALLOW_HTTP=true"),
    "half": ({"AWS_SECRET_ACCESS_KEY": None}, "no credentials were found. Set AWS_ACCESS_KEY_ID"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_variable_is_one_sentence(url: str, tmp_path: Path, wrong: str) -> None:
    variables, expected = WRONG[wrong]
    assert expected in sentence(url, tmp_path, **variables)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://no-such-bucket/models", "there is no such bucket. Check its name"),
        ("s3:///models", "names no place. Write it as s3://bucket/models"),
        ("memory://models", "names no place."),
        ("file://models", "names no place."),
        ("simplecache::ftp://bob:hidden@host/models", "names no place."),
        ("ftp://bob:hidden℀@host/models", "is no address. Write it as"),
        ("ftp://[::1/models", "is no address. Write it as"),
        ("nonsense://host/models", "fsspec knows no nonsense://. It begins with s3://, az://, gs:// or one that"),
        ("dropbox://models", "needs a package (DropboxFileSystem requires"),
        ("ftp://store.invalid/models", "its name doesn't resolve. Check it and this machine's network"),
        ("sftp://127.0.0.1:1/models", "nobody answers there. Check its address, and whether it runs"),
        ("s3://AKID:hidden@bucket/models", "holds more than a place and a folder"),
    ],
)
def test_a_wrong_url_is_one_sentence(url: str, tmp_path: Path, expected: str) -> None:
    told = sentence(url, tmp_path)
    assert expected in told
    assert "hidden" not in told


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:1/x"}, "nobody answers there. Check AZURE_STORAGE_ENDPOINT"),
        ({"AZURE_STORAGE_ENDPOINT": "storage"}, "AZURE_STORAGE_ENDPOINT is no address."),
        ({"AZURE_ALLOW_HTTP": None}, "set AZURE_ALLOW_HTTP=true"),
        ({"AZURE_STORAGE_ACCOUNT_NAME": None}, "no credentials were found. Set AZURE_STORAGE_ACCOUNT_NAME"),
        ({"AZURE_STORAGE_ACCOUNT_KEY": None}, "no credentials were found. Set AZURE_STORAGE_ACCOUNT_NAME"),
        ({"AZURE_STORAGE_ACCOUNT_KEY": "no key"}, "it refuses the credentials. Check AZURE_STORAGE_ACCOUNT_NAME"),
        ({"AZURE_STORAGE_ACCOUNT_KEY": "b3RoZXI="}, "access is denied."),
    ],
)
def test_a_wrong_variable_of_azures_is_one_sentence(
    azure: ObjectStore, tmp_path: Path, wrong: dict[str, str | None], expected: str
) -> None:
    told = sentence(f"{azure.url}/models", tmp_path, **(azure.environment | wrong))
    assert expected in told


def test_a_missing_container_of_azures_is_one_sentence(azure: ObjectStore, tmp_path: Path) -> None:
    assert "there is no such bucket. Check its name" in sentence("az://none/models", tmp_path, **azure.environment)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"GOOGLE_BASE_URL": "http://127.0.0.1:1"}, "nobody answers there. Check GOOGLE_BASE_URL"),
        ({"GOOGLE_BASE_URL": "storage"}, "GOOGLE_BASE_URL is no address."),
        ({"GOOGLE_ALLOW_HTTP": None}, "set GOOGLE_ALLOW_HTTP=true"),
        ({"GOOGLE_SERVICE_ACCOUNT_KEY": "no JSON"}, "GOOGLE_SERVICE_ACCOUNT_KEY is not the JSON of a key."),
        ({"GOOGLE_SERVICE_ACCOUNT_KEY": "{}"}, "GOOGLE_SERVICE_ACCOUNT_KEY is not the JSON of a key."),
        ({"GOOGLE_SERVICE_ACCOUNT_KEY": account("none")}, "GOOGLE_SERVICE_ACCOUNT_KEY is not the JSON of a key."),
        ({"GOOGLE_SERVICE_ACCOUNT_KEY": account(CUT_KEY)}, "GOOGLE_SERVICE_ACCOUNT_KEY is not the JSON of a key."),
        ({"GOOGLE_SERVICE_ACCOUNT_KEY": None}, "no credentials were found. Set GOOGLE_SERVICE_ACCOUNT_KEY"),
        ({"GOOGLE_SERVICE_ACCOUNT_KEY": None, "GOOGLE_SERVICE_ACCOUNT": "/none"}, "credentials can't be opened."),
        ({"GOOGLE_BEARER_TOKEN": "wrong"}, "it refuses the credentials. Check GOOGLE_SERVICE_ACCOUNT_KEY"),
    ],
)
def test_a_wrong_variable_of_googles_is_one_sentence(
    google: ObjectStore, tmp_path: Path, wrong: dict[str, str | None], expected: str
) -> None:
    told = sentence(f"{google.url}/models", tmp_path, **(google.environment | wrong))
    assert expected in told


def test_a_missing_bucket_of_googles_is_one_sentence(google: ObjectStore, tmp_path: Path) -> None:
    assert "there is no such bucket. Check its name" in sentence("gs://none/models", tmp_path, **google.environment)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("no JSON", "is no JSON object. Write it as {"),
        ('[["password", "wrong"]]', "is no JSON object. Write it as {"),
        ('{"username": "takehome", "password": "wrong"}', "it refuses the credentials. Check FSSPEC_"),
        ('{"timeout": "none"}', "it failed ("),
    ],
)
@pytest.mark.parametrize("server", ["ftp", "sftp"])
def test_a_wrong_variable_of_a_server_is_one_sentence(
    server: str, value: str, expected: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = request.getfixturevalue(server)
    told = sentence(_folder(store), tmp_path, **dict.fromkeys(store.environment, value))
    assert expected in told
    assert "wrong" not in told


def test_a_server_that_lets_one_only_read_is_one_sentence(ftp: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSSPEC_FTP", ftp.environment["FSSPEC_FTP"].replace(USER, READER))
    with pytest.raises(TakehomeError, match=r"access is denied. Check who may write there.$"):
        save(_folder(ftp), 1.0)


@pytest.mark.parametrize("any_url", ["ftp", "sftp"], indirect=True)
def test_a_folder_whose_name_is_a_pattern_is_that_folder_alone(any_url: str, mirrors: Path) -> None:
    ours, neighbour = f"{any_url}/team*", f"{any_url}/team1"
    for url in (ours, neighbour):
        folder = Path(re.sub("^s?ftp://[^/]+", "", url))
        source = copy_of(save(url, 1.0), url, mirrors)
        for number in range(11):
            shutil.copytree(source, folder / f"20250101-0000{number:02}")
    save(ours, 2.0)
    assert len({path.partition("/")[0] for path in paths(ours)}) == 11, "the last ten, and `current`"
    assert len({path.partition("/")[0] for path in paths(neighbour)}) == 13


@pytest.mark.slow
@pytest.mark.parametrize("any_url", ["ftp", "sftp"], indirect=True)
def test_current_is_whole_at_any_time_while_two_choose(any_url: str, tmp_path: Path) -> None:
    versions = [save(any_url, 1.0), save(any_url, 2.0)]
    choose = f"""
import sys
from pathlib import Path
from takehome.settings import open_store
store = open_store({any_url!r}, Path(sys.argv[1]))
store.sync()
for _ in range(100):
    store.use(sys.argv[2])
"""
    choosers = [subprocess.Popen([sys.executable, "-c", choose, tmp_path / v, v]) for v in versions]
    current = Path(re.sub("^s?ftp://[^/]+", "", any_url)) / "current"
    seen = set()
    while any(chooser.poll() is None for chooser in choosers):
        seen.add(current.read_text())
    assert [chooser.returncode for chooser in choosers] == [0, 0]
    assert seen == {f"{version}\n" for version in versions}


def test_a_folder_may_be_named_by_its_url(tmp_path: Path) -> None:
    version = save(url := (tmp_path / "models").as_uri(), 1.0)
    assert takehome.load_model(models_dir=url).metadata.version == version
    assert paths(url) == {"current", *(f"{version}/{file}" for file in FILES)}


def test_refused_credentials_are_one_sentence(url: str, object_store: ObjectStore, tmp_path: Path) -> None:
    httpx.post(f"{object_store.endpoint}/moto-api/reset-auth", content="0")
    try:
        told = sentence(url, tmp_path)
        run = subprocess.run(
            [TAKEHOME, "models"], env=os.environ | {"MODELS_DIR": url}, capture_output=True, text=True, check=False
        )
    finally:
        httpx.post(f"{object_store.endpoint}/moto-api/reset-auth", content="inf")
    expected = "it refuses the credentials. Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN)."
    assert told == f"{url}: {expected}"
    assert (run.returncode, run.stdout, run.stderr) == (1, "", f"takehome: {told}\n")


@contextmanager
def answering(status: int, code: str) -> Iterator[str]:
    """Run a server that gives one answer of S3's, which moto can't be brought to."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = f"<Error><Code>{code}</Code><AWSAccessKeyId>AKIDTESTONLY</AWSAccessKeyId></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "RequestTimeTooSkewed", "clock, which is off by more than 15 minutes. Set the clock."),
        (403, "AccessDenied", "access is denied. Check what these credentials may do"),
        (400, "ExpiredToken", "it refuses the credentials."),
        (401, "AuthenticationRequired", "it refuses the credentials."),
        (400, "AuthorizationHeaderMalformed", "the bucket is in another region. Check AWS_REGION."),
        (503, "SlowDown", "it is overloaded or broken just now."),
        (418, "Teapot", "it failed (Teapot). Try again later."),
    ],
)
def test_what_the_store_refuses_is_one_sentence(
    url: str, tmp_path: Path, status: int, code: str, expected: str
) -> None:
    with answering(status, code) as endpoint:
        told = sentence(url, tmp_path, AWS_ENDPOINT_URL=endpoint)
    assert expected in told
    assert "AKID" not in told


@pytest.mark.parametrize("value", ["nonsense://host/models", "s3://AKID:hidden@bucket/models"])
def test_an_api_with_a_wrong_url_ends_with_the_reason(value: str) -> None:
    start = Path(__file__).parents[1] / "containers/fastapi/start.py"
    done = subprocess.run(
        [sys.executable, start], env=os.environ | {"MODELS_DIR": value}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("MODELS_DIR")
    assert done.stderr.count("\n") == 1
    assert "hidden" not in done.stderr
