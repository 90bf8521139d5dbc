"""A review from archive to page; foreign code runs in a room, and what comes out of it is only data."""

import json
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from takehome.errors import TakehomeError
from takehome.metadata import Metadata, read_metadata
from takehome.project import project
from takehome.review.room import DOCKER, Container, Room, Trusted, engine_answers, plain
from takehome.review.score import Score, score
from takehome.submission.archive import unpack
from takehome.submission.contents import Places, fingerprints
from takehome.submission.manifest import Manifest
from takehome.verification.report import Report, Verdict

WALLS = (
    "a container: no network, read-only root, no capabilities, 4 GB of memory, 512 processes, 2 processors, 15 minutes"
)
NO_WALLS = "this machine, without a container: it was trusted"


@dataclass(frozen=True)
class Submission:
    """An archive that was unpacked: its files are as its manifest lists them, and nobody has opened them yet."""

    archive: Path
    folder: Path
    manifest: Manifest
    static: Path

    @property
    def model(self) -> Path:
        """The folder of the submitted model."""
        return self.folder / "models" / self.manifest.model

    def folders(self) -> dict[str, Path]:
        """Return the folders that a room is given."""
        return {"submission": self.folder, "static": self.static, "models": self.folder / "models"}


@contextmanager
def opened(path: Path) -> Iterator[Submission]:
    """Check and unpack an archive to a folder that goes again.

    Raises
    ------
    TakehomeError
        As `unpack` does.
    """
    with tempfile.TemporaryDirectory(prefix="takehome-review-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        manifest = unpack(path, folder)
        (folder / "models").mkdir(exist_ok=True)
        (folder / "models" / "current").write_text(manifest.model + "\n", encoding="ascii")
        static = folder / "data"
        if not static.is_dir():
            static = Places().static_dir.resolve()
        yield Submission(path, folder, manifest, static)


def review(submission: Submission, room: Room, page: Path) -> Verdict:
    """Run a submission again, compare, and write the page.

    Parameters
    ----------
    submission : unpacked.
    room : where its code runs.
    page : file to write.

    Returns
    -------
    The verdict: that of the run, or `differs` where a claimed figure is far above what the model shows.
    """
    began = time.monotonic()
    metadata = _metadata(submission)
    asked = _ask(submission, room, metadata)
    found = asked.score
    report, reason = _again(submission, room, metadata, asked)
    claim = _claim(found)
    verdict = report.verdict if report else Verdict.FAILS
    if found.rows and found.found is None:
        verdict, reason = Verdict.FAILS, f"The submitted model gives no answers: {found.message}"
    elif claim and not verdict.status:
        verdict, reason = Verdict.DIFFERS, claim
    facts: dict[str, Any] = {
        "name": metadata.name if metadata else submission.archive.name,
        "archive": submission.archive.name,
        "manifest": submission.manifest.model_dump(mode="json"),
        "metrics": metadata.metrics if metadata else {},
        "report": report.model_dump(mode="json") if report else None,
        "reason": reason,
        "verdict": verdict.value,
        "score": asdict(found),
        "claim": claim,
        "data": _data(submission),
        "seconds": time.monotonic() - began,
        "walls": WALLS if isinstance(room, Container) else NO_WALLS,
    }
    html = room.run(["-I", "-m", "takehome.review.page", "{submission}"], json.dumps(facts).encode(), seconds=120)
    page.write_bytes(html)
    return verdict


def find_room(submission: Submission, *, trust: bool) -> Room:
    """Return a container to run it in, or this machine where somebody vouches for the code.

    Raises
    ------
    TakehomeError
        No Docker engine answers, and nobody does; or the image can't be built.
    """
    if engine_answers():
        return Container(image("python"), submission.folders(), _user(submission.static))
    if not trust:
        raise TakehomeError(
            "No Docker engine answers, and without a container a submission could do here whatever you can. "
            "Start Docker; or, if you trust who wrote it: takehome review --trust."
        )
    return Trusted(submission.folders())


def image(service: str) -> str:
    """Build an image of this project (a second or two if it is there), and return its name."""
    root = project()
    build = [DOCKER, "compose", "build", "--quiet", service]
    done = subprocess.run(build, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise TakehomeError(f"The image can't be built: {plain(last)}. Try: docker compose build {service}.")
    shown = subprocess.run([DOCKER, "compose", "config", "--format", "json"], cwd=root, capture_output=True, check=True)
    return f"{json.loads(shown.stdout)['name']}-{service}"


def announce(submission: Submission) -> str:
    """Return what is about to be run, in words."""
    manifest, metadata = submission.manifest, _metadata(submission)
    code = sum(file.bytes for name, file in manifest.files.items() if name.startswith("notebooks/"))
    packages = ", ".join(f"{name} {number}" for name, number in (metadata.packages if metadata else {}).items())
    lines = (
        f"{submission.archive.name}: {len(manifest.files)} files, each as its manifest lists it",
        f"  runs      {manifest.notebook} ({code / 1024:.0f} KB with what lies beside it)",
        f"  model     {manifest.model}: {metadata.name if metadata else 'unreadable'} ({packages})",
        *(f"  data      {line}" for line in _data(submission)),
    )
    return plain("\n".join(lines))


def _again(submission: Submission, room: Room, metadata: Metadata | None, asked: "Asked") -> tuple[Report | None, str]:
    """Run the notebook in one room, and compare what it gave in another, where nothing of it runs."""
    if metadata is None:
        return None, "The submitted model.json is not what takehome writes: there is nothing to compare with."
    notebook = f"{{submission}}/{submission.manifest.notebook}"
    rows = json.dumps([metadata.examples.rows, asked.rows]).encode()
    claimed = {name: file.sha256 for name, file in submission.manifest.data.items()}
    facts = json.dumps({"answers": asked.answers, "claimed": claimed}).encode()
    try:
        ran = room.run(["-I", "-m", "takehome.review.again", notebook], rows)
        said = room.run(["-I", "-m", "takehome.review.judge", notebook], facts + b"\n" + ran, seconds=300)
        return Report.model_validate_json(said), ""
    except ValidationError:
        return None, "The comparison printed something that is no report."
    except TakehomeError as error:
        return None, str(error)


def _metadata(submission: Submission) -> Metadata | None:
    try:
        return read_metadata(submission.model / "model.json")
    except (TakehomeError, RecursionError):
        return None


@dataclass(frozen=True)
class Asked:
    """Rows of the committee's data without their labels, what the submitted model answers, and what that is worth."""

    rows: list[Any]
    answers: list[Any]
    score: Score


def _ask(submission: Submission, room: Room, metadata: Metadata | None) -> Asked:
    """Ask the submitted model, in a room of its own, and score what it answers out here."""
    if metadata is None:
        return Asked([], [], Score("", None, None, 0, "model.json can't be read"))
    model = f"{{models}}/{submission.manifest.model}"
    try:
        drawn = json.loads(
            room.run(["-I", "-m", "takehome.review.draw", f"{model}/model.json", "{static}"], seconds=120)
        )
        rows = drawn["rows"]
    except TakehomeError as error:
        return Asked([], [], Score("", None, None, 0, str(error)))
    try:
        question = ["-I", "-m", "takehome.proof.suspect", model]
        # The data stays outside: it holds the labels.
        said = room.run(question, json.dumps(rows).encode(), seconds=120, folders=["models"]) if rows else b""
    except TakehomeError as error:
        return Asked(rows, [], Score("", None, None, len(rows), str(error)))
    found = score(metadata, drawn["truth"], said)
    # What could be scored is a list of answers, one a row.
    return Asked(rows, json.loads(said)["answers"] if found.found is not None else [], found)


def _claim(found: Score) -> str:
    if found.holds:
        return ""
    return (
        f"model.json claims {found.name} {found.claimed:.4f}, but on {found.rows:,} rows of your data the submitted "
        f"model reaches {found.found:.4f}: the claim is not what the model does."
    )


def _data(submission: Submission) -> list[str]:
    """Say of each data file whether it is the one that the candidate had."""
    here = fingerprints(submission.static)
    lines = []
    for name, claimed in submission.manifest.data.items():
        found = here.get(name)
        said = "is missing here" if found is None else "is the same" if found == claimed else "is another one here"
        lines.append(f"{name} {said}")
    return lines


def _user(static: Path) -> str:
    """Return who to be inside: the owner of the data, so that it can be read, but never root."""
    owner = static.stat()
    if not owner.st_uid and not owner.st_mode & stat.S_IROTH:
        raise TakehomeError(f"{static} can't be read by others. Allow it: chmod -R a+rX {static}")
    return f"{owner.st_uid}:{owner.st_gid}" if owner.st_uid else "65534:65534"
