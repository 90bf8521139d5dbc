"""The locked door of compose.public.yml, on a real engine: who gets in where, and that nobody else does."""

import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
import websocket
from browsing import CURL, choose, picture, submit, visit
from playwright.sync_api import Page, expect
from stack import OWNERS, POWERLESS, ROOT, Stack
from takehome import keyring
from takehome.errors import TakehomeError
from waiting import PATIENCE, eventually

pytestmark = pytest.mark.slow

SECRETS = ["caddy/owner", "caddy/guest", "python/pgpass", "fastapi/pgpass", "fastapi/keys"]
SECRETS += ["streamlit/pgpass", "streamlit/key"]
ROW = {"json": CURL}
# Everything that is asked for, and who may have it; a websocket is written `WS`.
DOORS = {
    ("GET", "/"): {"owner", "guest"},
    ("GET", "/_stcore/health"): {"owner", "guest"},
    ("POST", "/_stcore/upload_file/a/b"): {"owner", "guest"},
    ("WS", "/_stcore/stream"): {"owner", "guest"},
    ("GET", "/jupyter/lab"): {"owner"},
    ("GET", "/jupyter/api"): {"owner"},
    ("GET", "/jupyter/api/contents"): {"owner"},
    ("POST", "/jupyter/api/kernels"): {"owner"},
    ("POST", "/jupyter/api/terminals"): {"owner"},
    ("WS", "/jupyter/api/events/subscribe"): {"owner"},
    ("POST", "/api/predict"): {"key", "bearer"},
    ("GET", "/api/schema"): {"key", "bearer"},
    ("GET", "/api/model"): {"key", "bearer"},
    ("GET", "/api/models"): {"key", "bearer"},
    ("PUT", "/api/models/current"): {"key", "bearer"},
    ("GET", "/api/metrics"): {"key", "bearer"},
    ("GET", "/api/no-such-path"): {"key", "bearer"},
    ("GET", "/api/docs"): {"owner", "guest"},
    ("GET", "/api/openapi.json"): {"owner", "guest"},
}


def _login(name: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"}


@dataclass
class Public(Stack):
    """A clone behind the locked door, with what `make secrets` has shown."""

    shown: dict[str, str] = field(default_factory=dict)

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run `docker compose` with the overlay."""
        files = ("-f", "docker-compose.yml", "-f", "compose.public.yml")
        return self.run("docker", "compose", *files, *arguments, check=check)

    def url(self, door: str = "PUBLIC_HTTPS", scheme: str = "https") -> str:
        """Return where the door is."""
        return super().url(door, scheme)

    def credential(self, name: str) -> dict[str, str]:
        """Return the headers of somebody who has a credential, or a wrong one."""
        return {
            "none": {},
            "wrong": _login("owner", "wrong"),
            "nobody": _login("nobody", self.shown["owner"]),
            "wrong key": {"X-API-Key": "takehome_wrong", "Authorization": "Bearer takehome_wrong"},
            "empty": {"X-API-Key": "", "Authorization": "Bearer"},
            "owner": _login("owner", self.shown["owner"]),
            "guest": _login("guest", self.shown["guest"]),
            "key": {"X-API-Key": self.shown["key"]},
            "bearer": {"Authorization": f"Bearer {self.shown['key']}"},
        }[name]

    @property
    def authority(self) -> ssl.SSLContext:
        """Trust the door's own certificate authority, and no other."""
        return ssl.create_default_context(cafile=str(self.folder / "volumes/caddy/pki/authorities/local/root.crt"))

    def ask(self, method: str, path: str, headers: dict[str, str]) -> int:
        """Return the status of a request through the door."""
        if method == "WS":
            return self._open(path, headers)
        body = ROW if path == "/api/predict" else {}
        with httpx.Client(base_url=self.url(), verify=self.authority, timeout=PATIENCE) as client:
            return client.request(method, path, headers=headers, **body).status_code

    def _open(self, path: str, headers: dict[str, str]) -> int:
        try:
            opened = websocket.create_connection(
                self.url(scheme="wss") + path, timeout=30, header=headers, sslopt={"context": self.authority}
            )
        except websocket.WebSocketBadStatusException as error:
            return int(error.status_code)
        opened.close()
        return int(opened.status)


@pytest.fixture(scope="module")
def public(clone: Callable[[int], Stack], free_port: Callable[[], int]) -> Iterator[Public]:
    """Type what the README says: make secrets, then `up` with the overlay."""
    made = clone(OWNERS[-1])
    ports = made.ports | {"PUBLIC_HTTPS": free_port(), "PUBLIC_HTTP": free_port()}
    public = Public(made.folder, made.owner, ports)
    try:
        public.compose("build")
        said = public.run("make", "secrets")
        public.shown |= dict(re.findall(r"login (\w+), password (\S+)", said)) | dict(re.findall(r"(key) (\S+)", said))
        public.compose("up", "--detach", "--wait", "streamlit", "caddy", check=False)
        eventually(lambda: public.ask("GET", "/api/ready", {}) == 200)
        yield public
    finally:
        public.compose("down", "--volumes", "--rmi", "local", "--timeout", "5", check=False)


def test_the_right_credential_opens_each_door_and_nothing_else_does(public: Public) -> None:
    found = {
        (method, path, who): public.ask(method, path, public.credential(who))
        for (method, path), who in product(
            DOORS, ["none", "wrong", "nobody", "wrong key", "empty", "owner", "guest", "key"]
        )
    }
    wrong = {
        asked: status
        for asked, status in found.items()
        if (status == 401) == (asked[2] in DOORS[asked[:2]]) or (asked[0] == "WS" and status not in (101, 401))
    }
    assert wrong == {}


def test_a_key_may_come_as_bearer_and_health_needs_none(public: Public) -> None:
    assert public.ask("POST", "/api/predict", public.credential("bearer")) == 200
    assert [public.ask("GET", f"/api/{path}", {}) for path in ("health", "ready")] == [200, 200]


def test_only_the_door_is_published_and_it_speaks_tls(public: Public) -> None:
    shown = [json.loads(line) for line in public.compose("ps", "--format", "json").splitlines()]
    published = {(s["Service"], p["PublishedPort"]) for s in shown for p in s["Publishers"] or () if p["PublishedPort"]}
    assert published == {("caddy", public.ports["PUBLIC_HTTPS"]), ("caddy", public.ports["PUBLIC_HTTP"])}
    plain = httpx.get(f"http://localhost:{public.ports['PUBLIC_HTTP']}/jupyter/lab")
    assert (plain.status_code, plain.headers["Location"]) == (302, f"{public.url()}/jupyter/lab")
    answer = httpx.get(public.url(), headers=public.credential("guest"), verify=public.authority)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "Server" not in answer.headers


@pytest.mark.parametrize("service", ["caddy", "streamlit"])
def test_who_reads_secrets_is_the_owner_without_power(public: Public, service: str) -> None:
    assert public.powers(service) == {(str(public.owner), *POWERLESS)}


@pytest.mark.parametrize("path", ["/", "/jupyter/api", "/api/schema", "/api/health"])
def test_a_foreign_page_or_name_is_refused_even_with_the_right_credential(public: Public, path: str) -> None:
    headers = public.credential("owner") | public.credential("key")
    foreign = headers | {"Origin": "https://evil.example"}
    assert public.ask("GET", path, foreign) == public.ask("POST", path, foreign) == 403
    assert public.ask("WS", path, headers) != 101
    with pytest.raises(httpx.RemoteProtocolError):
        public.ask("GET", path, headers | {"Host": "evil.example"})


def test_postgresql_asks_for_a_password(public: Public) -> None:
    network = f'(index .NetworkSettings.Networks "{public.folder.name}_lab")'
    host = public.inspect("postgres", f"{{{{{network}.IPAddress}}}}")

    def ask(user: str, password: str) -> Any:
        place = {"host": host, "dbname": "local", "connect_timeout": 5}
        with psycopg2.connect(**place, user=user, password=password) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            return cursor.fetchone()

    services = {"local": "python", "api": "fastapi", "page": "streamlit"}
    for user, service in services.items():
        password = (public.folder / f"secrets/{service}/pgpass").read_text().strip().split(":")[4]
        assert ask(user, password) == (user,)
        for wrong in ("", "wrong", password[:-1]):
            with pytest.raises(psycopg2.OperationalError, match="password"):
                ask(user, wrong)
        with pytest.raises(psycopg2.OperationalError, match="reject"):
            ask("postgres", password)
    marker = {"X-Request-ID": "through-the-door"}
    assert public.ask("POST", "/api/predict", public.credential("key") | marker) == 200
    logged = "import pandas, takehome; print(pandas.read_sql('SELECT request_id FROM predictions', takehome.engine()))"
    eventually(lambda: "through-the-door" in public.execute("python", "python", "-c", logged))


def test_keys_are_added_replaced_and_taken_back_without_a_restart(public: Public) -> None:
    def make() -> dict[str, str]:
        return {"X-API-Key": public.run("make", "key", "NAME=anna").split()[-1]}

    first = make()
    assert public.ask("GET", "/api/schema", first) == 200
    second = make()
    assert [public.ask("GET", "/api/schema", key) for key in (first, second)] == [401, 200]
    assert public.ask("GET", "/api/schema", public.credential("key")) == 200
    keys = public.folder / "secrets/fastapi/keys"
    keys.write_text("".join(line for line in keys.open() if not line.startswith("anna ")))
    assert [public.ask("GET", "/api/schema", key) for key in (second, public.credential("key"))] == [401, 200]


@pytest.fixture
def tab(browser: Any, public: Public) -> Iterator[Page]:
    """Open a tab of somebody who knows the owner's login; the certificate is nobody's that a browser knows."""
    context = browser.new_context(
        ignore_https_errors=True, http_credentials={"username": "owner", "password": public.shown["owner"]}
    )
    yield context.new_page()
    context.close()


def test_the_form_answers_through_the_door(public: Public, tab: Page) -> None:
    visit(tab, public.url())
    expect(tab.get_by_role("heading", name="Preterm births")).to_be_visible()
    for name, option in CURL.items():
        choose(tab, name, option)
    submit(tab)
    expect(tab.get_by_test_id("stMetricValue")).to_have_text(re.compile("term"))
    picture(tab, "public-page")


def test_jupyterlab_runs_a_cell_through_the_door(public: Public, tab: Page) -> None:
    source = {"cell_type": "code", "id": "a", "metadata": {}, "source": "6 * 7", "outputs": [], "execution_count": None}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    scratch = public.folder / "volumes/notebooks/scratch.ipynb"
    scratch.write_text(json.dumps({"cells": [source], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    visit(tab, f"{public.url()}/jupyter/lab/tree/scratch.ipynb")
    expect(tab.get_by_role("button", name="Python 3 (ipykernel) | Idle")).to_be_visible()
    tab.get_by_role("textbox").filter(has_text="6 * 7").click()
    tab.keyboard.press("Shift+Enter")
    expect(tab.get_by_role("main").get_by_text("42", exact=True)).to_be_visible()
    picture(tab, "public-jupyterlab")


def test_docs_of_the_api_are_drawn_through_the_door(public: Public, tab: Page) -> None:
    visit(tab, f"{public.url()}/api/docs")
    expect(tab.get_by_role("button", name="Authorize")).to_be_visible()
    expect(tab.get_by_text("/predict", exact=True)).to_be_visible()


def test_no_secret_is_in_a_log(public: Public) -> None:
    key = public.credential("key")
    public.compose("stop", "fastapi")
    assert public.ask("POST", "/api/predict", key | {"Cookie": f"key={key['X-API-Key']}"}) == 502
    log = public.compose("logs")
    assert "POST" in log
    kept = [path.read_text().strip() for path in (public.folder / "secrets").glob("*/pgpass")]
    for secret in [*public.shown.values(), *(line.split(":")[4] for line in kept)]:
        assert secret not in log
        assert b64encode(secret.encode()).decode()[:-4] not in log


def test_an_api_that_lost_its_overlay_is_not_to_be_found_through_the_door(public: Public) -> None:
    Stack.compose(public, "up", "--detach", "--no-deps", "fastapi")
    try:
        eventually(lambda: httpx.get(f"http://localhost:{public.ports['API']}/schema").status_code == 200)
        assert public.ask("GET", "/api/schema", {}) == 502
    finally:
        public.compose("up", "--detach", "--no-deps", "fastapi")
    eventually(lambda: public.ask("GET", "/api/ready", {}) == 200)


def test_a_public_name_gets_a_certificate_from_lets_encrypt(public: Public) -> None:
    name = "takehome.example.org"
    kept = public.folder / "letsencrypt"
    kept.mkdir()
    os.chown(kept, public.owner, public.owner)
    files = ("-f", "docker-compose.yml", "-f", "compose.public.yml", "-f", ROOT / "tests/acme.yml")
    up = ("docker", "compose", *files, "up", "--detach", "letsencrypt", "caddy")

    def ask() -> httpx.Response:
        root = ssl.create_default_context(cafile=str(kept / "caddy/pki/authorities/local/root.crt"))
        host = {"Host": f"{name}:{public.ports['PUBLIC_HTTPS']}"}
        with httpx.Client(verify=root) as client:
            return client.get(f"{public.url()}/api/health", headers=host, extensions={"sni_hostname": name})

    try:
        public.run("env", f"PUBLIC_NAME={name}", f"OWNER={public.owner}", *up)
        eventually(lambda: ask().status_code == 200)
    finally:
        public.compose("up", "--detach", "--no-deps", "--remove-orphans", "caddy")
    eventually(lambda: public.ask("GET", "/api/ready", {}) == 200)


def test_linter_has_nothing_to_say_about_the_overlay(public: Public, tmp_path: Path) -> None:
    merged = tmp_path / "docker-compose.yml"
    merged.write_text(public.compose("config"))
    command = [
        Path(sys.executable).with_name("compose-lint"),
        "--fail-on",
        "low",
        "--config",
        ".compose-lint.yml",
        merged,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_up_is_refused_with_the_secret_that_is_missing(public: Public) -> None:
    public.compose("down", "--timeout", "5")
    (public.folder / "secrets/caddy/guest").unlink()
    said = re.findall(r" +\| (.+)", public.compose("up", check=False))
    assert said[-1] == "takehome: secrets/caddy/guest is missing. Make it: make secrets"
    assert public.compose("ps", "--quiet") == ""
    again = public.run("make", "secrets")
    assert "login guest" in again
    assert "login owner" not in again


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make secrets in a folder of their own."""
    folder = tmp_path_factory.mktemp("made")
    for service in ("caddy", "python", "fastapi", "streamlit"):
        (folder / "secrets" / service).mkdir(parents=True)
    with contextlib.chdir(folder):
        keyring.make()
        keyring.check()
    return folder / "secrets"


@pytest.fixture
def secrets(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of secrets, in the working directory."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(made, tmp_path / "secrets")


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("fault", ["missing", "empty", "example", "readable"])
def test_a_secret_that_is_none_is_refused_by_name(secrets: Path, name: str, fault: str) -> None:
    path, words = secrets / name, fault
    match fault:
        case "missing":
            path.unlink()
        case "empty":
            path.write_text("\n")
        case "example":
            path.write_text(re.sub(r"[^ :]+$", "changeme-changeme-changeme-changeme", path.read_text().strip()) + "\n")
        case "readable":
            path.chmod(0o644)
            words = "can be read by other users"
    with pytest.raises(TakehomeError, match=f"^secrets/{name} .*{words}.*: .*(make secrets|chmod 600 secrets/{name})$"):
        keyring.check()


def test_making_secrets_again_changes_none_and_shows_none(secrets: Path) -> None:
    def read() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in secrets.rglob("*") if path.is_file()}

    before = read()
    assert keyring.make() == []
    assert read() == before
    assert {oct(path.stat().st_mode & 0o777) for path in secrets.rglob("*") if path.is_file()} == {"0o600"}
    assert len(set(before.values())) == len(before)


@pytest.mark.parametrize("lost", ["fastapi/keys", "streamlit/key"])
def test_what_was_lost_of_the_pages_key_is_made_again_on_both_sides(secrets: Path, lost: str) -> None:
    (secrets / lost).unlink()
    shown = keyring.make()
    assert [line.split()[:2] for line in shown] == ([["the", "API"]] if lost == "fastapi/keys" else [])
    keyring.check()
    digest = sha256((secrets / "streamlit/key").read_bytes().strip()).hexdigest()
    assert f"page {digest}" in (secrets / "fastapi/keys").read_text().splitlines()


def test_a_page_without_its_key_is_refused(secrets: Path) -> None:
    with pytest.raises(TakehomeError, match="the page's own key"):
        keyring.add_key("page")
    keys = secrets / "fastapi/keys"
    keys.write_text("".join(line for line in keys.read_text().splitlines(keepends=True) if "page" not in line))
    with pytest.raises(TakehomeError, match=r"^secrets/streamlit/key is not among the keys of secrets/fastapi/keys"):
        keyring.check()


def test_a_name_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_NAME", "https://model.example.org/")
    with pytest.raises(TakehomeError, match=r"^PUBLIC_NAME=https://model[.]example[.]org/ is not"):
        keyring.check()
    with pytest.raises(TakehomeError, match="no name for a key"):
        keyring.add_key("two words")
