"""`takehome review`: archives that attack whoever unpacks them, and code that attacks whoever runs it."""

import hashlib
import itertools
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_output
from takehome.errors import TakehomeError
from takehome.review.review import image
from takehome.review.room import Container
from takehome.submission import archive
from takehome.submission.manifest import File
from waiting import PATIENCE, eventually
from work import CELLS, ROOT, TAKEHOME, Work, make_work

Files = dict[str, bytes]
NOTEBOOK = "notebooks/submission.ipynb"
NAMES = (
    "../outside", "/absolute", "notebooks/../../outside", "C:/windows", "notebooks\\back", "notebooks/CON", "nul.txt",
    "notebooks/space ", "notebooks/dot.", "./here", "notebooks//twice", "line\nbreak", "escape\x1b[2J", "a:b", "",
)  # fmt: skip


def sealed(files: Files) -> Files:
    """Add the manifest that fits."""
    listed = {name: {"sha256": hashlib.sha256(c).hexdigest(), "bytes": len(c)} for name, c in files.items()}
    manifest = {
        "format": 1, "notebook": NOTEBOOK, "model": "20260101-000000", "verdict": "reproduced", "forced": False,
        "data": {}, "files": listed,
    }  # fmt: skip
    return {"manifest.json": json.dumps(manifest).encode(), **files}


def packed(path: Path, files: Files, **attributes: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.filename = name
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = attributes.get(name.replace("/", "_"), 0o100644) << 16
            target.writestr(entry, content)
    return path


def refused(path: Path, folder: Path) -> str:
    """Unpack, expect a refusal, and see that nothing was written outside, nor anything that acts."""
    folder.mkdir()
    around = sorted(folder.parent.iterdir())
    with pytest.raises(TakehomeError) as caught:
        archive.unpack(path, folder)
    assert sorted(folder.parent.iterdir()) == around
    assert not [path for path in folder.rglob("*") if path.is_symlink()]
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_listed_is_unpacked_as_it_is_listed(tmp_path: Path) -> None:
    files = {NOTEBOOK: b"{}", "notebooks/deep/er/module.py": b"x = 1"}
    (tmp_path / "out").mkdir()
    archive.unpack(packed(tmp_path / "s.zip", sealed(files)), tmp_path / "out")
    found = {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert found == files


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_plain_file_below_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / "s.zip", sealed({NOTEBOOK: b"{}", name: b"x"}))
    assert "Nothing was unpacked" in refused(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("one", "other"), [("a.txt", "A.TXT"), ("caf\u00e9", "cafe\u0301"), ("folder", "folder/below"), ("\u00df", "ss")]
)
def test_names_that_are_one_file_on_some_machine_are_refused(tmp_path: Path, one: str, other: str) -> None:
    path = packed(tmp_path / "s.zip", sealed({NOTEBOOK: b"{}", one: b"x", other: b"y"}))
    assert "Nothing was unpacked" in refused(path, tmp_path / "out")


def test_a_doubled_name_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "s.zip", sealed({NOTEBOOK: b"{}"}))
    with zipfile.ZipFile(path, "a") as target, pytest.warns(UserWarning, match="Duplicate"):
        target.writestr(NOTEBOOK, b"other")
    assert "letter case" in refused(path, tmp_path / "out")


@pytest.mark.parametrize("kind", [0o120777, 0o010644, 0o060644, 0o140644])
def test_a_link_or_a_device_is_refused(tmp_path: Path, kind: int) -> None:
    files = sealed({NOTEBOOK: b"{}", "link": b"/etc/passwd"})
    assert "is a link or a device" in refused(packed(tmp_path / "s.zip", files, link=kind), tmp_path / "out")


def test_a_changed_byte_a_missing_and_an_additional_file_are_named(tmp_path: Path) -> None:
    files = sealed({NOTEBOOK: b"{}", "more.txt": b"right"})
    changed = packed(tmp_path / "changed.zip", files | {"more.txt": b"wrong"})
    assert "'more.txt' is not the file that its manifest.json lists" in refused(changed, tmp_path / "1")
    missing = packed(tmp_path / "missing.zip", {k: v for k, v in files.items() if k != "more.txt"})
    assert "lacks 'more.txt'" in refused(missing, tmp_path / "2")
    added = packed(tmp_path / "added.zip", files | {"sitecustomize.py": b"import os"})
    assert "holds 'sitecustomize.py', which is not in its manifest.json" in refused(added, tmp_path / "3")
    longer = packed(tmp_path / "longer.zip", files | {"more.txt": b"right" * 1000})
    assert "'more.txt' is not the file" in refused(longer, tmp_path / "4")


def test_bombs_are_refused_before_they_fill_the_disk(tmp_path: Path) -> None:
    many = packed(tmp_path / "many.zip", sealed({NOTEBOOK: b"{}"} | {f"f{i}": b"" for i in range(3000)}))
    assert "more than 2000" in refused(many, tmp_path / "1")
    lying = bytearray(packed(tmp_path / "lying.zip", sealed({NOTEBOOK: b"{}", "b": b"0" * 50_000_000})).read_bytes())
    at = lying.rindex(b"PK\x01\x02")
    lying[at + 24 : at + 28] = struct.pack("<I", 0xF0000000)
    (tmp_path / "lying.zip").write_bytes(lying)
    assert "unpacks too large" in refused(tmp_path / "lying.zip", tmp_path / "2")
    files = sealed({NOTEBOOK: b"{}"})
    huge = json.loads(files["manifest.json"])
    huge["files"][NOTEBOOK]["bytes"] = 1 << 50
    path = packed(tmp_path / "huge.zip", files | {"manifest.json": json.dumps(huge).encode()})
    assert "manifest.json is not what takehome writes" in refused(path, tmp_path / "3")


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b"{" * 50_000,
        b'{"files": ' * 50_000,
        b"\xff\xfe",
        b'{"format": 2}',
        b'{"a": "\x1b[2J"}',
        b" " * (5 << 20),
    ],
    ids=["empty", "list", "braces", "deep", "bytes", "format", "escape", "large"],
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, manifest: bytes) -> None:
    assert "manifest.json" in refused(packed(tmp_path / "s.zip", {"manifest.json": manifest}), tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.zip").write_bytes(content)
    refused(tmp_path / "s.zip", tmp_path / "out")


def test_an_archive_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = packed(tmp_path / "s.zip", sealed({NOTEBOOK: os.urandom(3000)})).read_bytes()
    for i, end in enumerate(range(0, len(whole), len(whole) // 12)):
        (tmp_path / "cut.zip").write_bytes(whole[:end])
        refused(tmp_path / "cut.zip", tmp_path / f"out{i}")


@pytest.fixture(scope="module")
def built(need: Any) -> Iterator[str]:
    """Build the image that submissions run in, under a name of its own."""
    engine = shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, check=False)
    need("containers", bool(engine) and engine.returncode == 0, "no Docker engine answers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMPOSE_PROJECT_NAME", f"review-{os.getpid()}")
        patch.chdir(ROOT)
        yield image("python")
        subprocess.run(["docker", "compose", "down", "--rmi", "local"], capture_output=True, check=False)


@pytest.fixture(scope="module")
def room(built: str, work: Work) -> Container:
    """Give a room as a review has it."""
    folder = work.archive.with_suffix("")
    return Container(built, {"submission": folder, "static": folder / "data", "models": folder / "models"})


def containers() -> str:
    """Return what reviews have left running."""
    ours = ["docker", "ps", "--all", "--quiet", "--filter", "name=takehome-review-"]
    return subprocess.run(ours, capture_output=True, text=True, check=True).stdout


REACHES = """
import os, socket, pathlib
def tries(name, do):
    try:
        do()
    except OSError as error:
        print(name, "refused")
    else:
        print(name, "WENT THROUGH")
for name, address in {"pypi": ("151.101.0.223", 443), "gateway": ("172.17.0.1", 22), "dns": ("8.8.8.8", 53)}.items():
    tries(name, lambda: socket.create_connection(address, 2))
for place in ("/submission/x", "/static/x", "/models/current", "/etc/x", "/opt/x", "/root/x", "/app/x"):
    tries(place, lambda: pathlib.Path(place).write_text("x"))
for call in (lambda: os.setuid(0), lambda: os.mkfifo("/static/p"), lambda: os.chown("/static", 1, 1)):
    tries("power", call)
tries("docker", lambda: os.stat("/var/run/docker.sock"))
pathlib.Path("/tmp/x.sh").write_text("#!/bin/sh\\nid"); os.chmod("/tmp/x.sh", 0o755)
tries("exec", lambda: os.execv("/tmp/x.sh", ["x"]))
status = pathlib.Path("/proc/self/status").read_text()
print("caps", [line.split()[1] for line in status.splitlines() if line.startswith(("Cap", "NoNewPrivs"))], os.getuid())
secrets = {k for k in os.environ if k.startswith(("PG", "JUPYTER"))}
print("secrets", secrets)
"""


@pytest.mark.slow
def test_foreign_code_reaches_nothing(room: Container) -> None:
    said = room.run(["-I", "-c", REACHES], seconds=60).decode()
    assert "WENT THROUGH" not in said
    assert said.count("refused") == 15
    assert f"caps {['0' * 16] * 5 + ['1']} 65534" in said
    assert "secrets set()" in said
    assert room.run(["-I", "-c", "import os; print(os.listdir('/'))"], folders=["models"]).count(b"static") == 0
    assert containers() == ""


FILL = "f = open('{}/x', 'wb')\nfor _ in range(32): f.write(b'1' * (1 << 28))\nprint('HAD IT')"
DEAF = "import signal\nfor n in range(1, 32):\n  if n not in (9, 19): signal.signal(n, signal.SIG_IGN)\nwhile 1: pass"
ATTACKS = {
    "endless": (DEAF, 6),
    "fork bomb": ("import os\nwhile 1:\n  try: os.fork()\n  except OSError: pass", 6),
    "endless output": ("import sys\nwhile 1: sys.stdout.write('x' * 1000000)", 60),
    "endless errors": ("import sys\nwhile 1: sys.stderr.write('x' * 1000000)", 60),
    "8 GB": ("b = [bytearray(b'1' * (1 << 28)) for _ in range(32)]\nprint('HAD IT')", 60),
    "full /dev/shm": (FILL.format("/dev/shm"), 60),
    "full /tmp": (FILL.format("/tmp"), 60),
    "kills all": ("import os\nos.kill(-1, 9)", 30),
}


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_foreign_code_is_ended_and_leaves_nothing(room: Container, attack: str) -> None:
    code, seconds = ATTACKS[attack]
    with pytest.raises(TakehomeError):
        room.run(["-I", "-c", code], seconds=seconds)
    assert containers() == ""


def review(path: Path, page: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TAKEHOME), "review", str(path), "--page", str(page), *options], cwd=ROOT, env=os.environ | variables,
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


def forged(work: Work, path: Path, change: Callable[[Files], Files]) -> Path:
    """Write a submission that says of itself that all is well."""
    with zipfile.ZipFile(work.archive) as source:
        files = {name: source.read(name) for name in source.namelist()}
    manifest = json.loads(files.pop("manifest.json"))
    files = change(files)
    listed = {
        name: File(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content)).model_dump()
        for name, content in files.items()
    }
    archive.write({"manifest.json": json.dumps(manifest | {"files": listed}).encode(), **files}, path)
    return path


@pytest.mark.slow
@pytest.mark.usefixtures("built")
def test_an_honest_submission_reproduces_and_is_served_until_it_is_stopped(work: Work, tmp_path: Path) -> None:
    command = [str(TAKEHOME), "review", str(work.archive), "--page", str(tmp_path / "review.html"), "--serve"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout
        said = list(itertools.takewhile(lambda line: not line.startswith("Page "), served.stdout))
        assert "  runs      notebooks/submission.ipynb" in "".join(said)
        assert "irises.csv is the same" in "".join(said)
        assert said[-2].startswith("reproduced")
        address = said[-1].split()[1].removesuffix("/docs").replace("localhost", "127.0.0.1")
        eventually(lambda: httpx.get(f"{address}/ready", timeout=5).status_code == 200)
        row = httpx.get(f"{address}/schema", timeout=PATIENCE).json()["examples"][0]
        assert "prediction" in httpx.post(f"{address}/predict", json=row, timeout=PATIENCE).json()
        served.terminate()
        assert served.wait(60) == 0
    page = (tmp_path / "review.html").read_text()
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert 'iframe sandbox=""' in page
    assert "100 random rows of your data" in page
    assert "answers on 100 rows of your data are " in page
    assert containers() == ""


class Hostile:
    """A model whose unpickling is an attack."""

    def __reduce__(self) -> tuple[Any, ...]:
        attack = "touch /submission/owned /static/owned; printf '\\033[2J<script>alert(1)</script>' | tee /proc/1/fd/1"
        return os.system, (f"{attack}; kill -9 -1",)


def break_model(files: Files) -> Files:
    """Turn the model into an attack, and the name of it into a command for terminals and browsers."""
    pickled = next(name for name in files if name.endswith("model.joblib"))
    described = pickled.replace("joblib", "json")
    known = json.loads(files[described])
    known["name"] = "\x1b[2J\x1b]0;owned\x07<script>document.title = 'owned'</script>"
    attack = pickle.dumps(Hostile())
    known["sha256"] = hashlib.sha256(attack).hexdigest()
    return files | {pickled: attack, described: json.dumps(known).encode()}


LIE = """
import json, os, pathlib
for path in pathlib.Path(os.environ["MODELS_DIR"]).glob("*/model.json"):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"metrics": {"roc_auc": 1.0}}))
"""


@pytest.mark.slow
@pytest.mark.usefixtures("built")
def test_a_notebook_that_edits_its_own_metrics_is_shown_as_such(tmp_path: Path) -> None:
    fit, save = "model = LogisticRegression().fit(X, 3 - y)", f"{CELLS[5].source}\n{LIE}"
    liar = make_work((*CELLS[:4], new_code_cell(fit, id="fit"), new_code_cell(save, id="save")))
    assert liar.run("submit", "--with-data").returncode == 0, "running it again gives the same lie"
    done = review(liar.archive, tmp_path / "review.html")
    shutil.rmtree(liar.folder)
    assert done.returncode in (1, 2)
    page = (tmp_path / "review.html").read_text()
    assert "claims roc_auc 1.0000, but on 100 rows of your data the submitted model reaches 0.0" in page


def add_cell(files: Files, source: str, shown: str) -> Files:
    """Append a cell to the notebook, as if it had been run."""
    notebook = nbformat.reads(files[NOTEBOOK].decode(), as_version=4)
    printed = [new_output("stream", name="stdout", text=shown)]
    count = 1 + sum(cell.cell_type == "code" for cell in notebook.cells)
    notebook.cells.append(new_code_cell(source, id="added", execution_count=count, outputs=printed))
    return files | {NOTEBOOK: nbformat.writes(notebook).encode()}


@pytest.mark.slow
@pytest.mark.usefixtures("built")
def test_a_hostile_model_costs_the_submission_its_verdict_and_hides_no_cause(work: Work, tmp_path: Path) -> None:
    def change(files: Files) -> Files:
        return add_cell(break_model(files), "import numpy as np\nprint(np.random.rand())", "0.123\n")

    done = review(forged(work, tmp_path / "s.zip", change), tmp_path / "review.html")
    assert done.returncode == 2
    assert "\x1b" not in done.stdout + done.stderr
    page = (tmp_path / "review.html").read_text()
    assert "<script" not in page
    assert "<b>unseeded randomness</b>, cell 6: NumPy without a seed" in page
    assert not list(work.folder.rglob("owned"))
    assert containers() == ""


FORGES = """
import os, pathlib, signal
for process in pathlib.Path('/proc').glob('[0-9]*'):
    if int(process.name) != os.getpid():
        try:
            (process / 'fd/1').write_text({said!r})
            os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            pass
print('bad')
"""


@pytest.mark.slow
@pytest.mark.usefixtures("built")
def test_a_notebook_can_not_write_its_own_verdict(work: Work, tmp_path: Path) -> None:
    done = work.run("verify", "--json")
    assert '"verdict": "reproduced"' in done.stdout
    path = forged(work, tmp_path / "s.zip", lambda files: add_cell(files, FORGES.format(said=done.stdout), "good\n"))
    done = review(path, tmp_path / "review.html")
    assert done.returncode == 2
    assert "the notebook may have written over it" in (tmp_path / "review.html").read_text()
    assert containers() == ""


@pytest.mark.slow
def test_without_docker_foreign_code_runs_only_for_those_who_trust_it(work: Work, tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), str(tmp_path)])
    done = review(work.archive, tmp_path / "review.html", PATH=path)
    assert done.returncode == 1
    assert "No Docker engine answers" in done.stderr
    assert "--trust" in done.stderr
    assert not (tmp_path / "review.html").exists()
    done = review(work.archive, tmp_path / "review.html", "--trust", PATH=path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "without a container: it was trusted" in (tmp_path / "review.html").read_text()
