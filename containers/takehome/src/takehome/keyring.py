"""The secrets of compose.public.yml: a folder for each service, readable by its owner alone.

What is only ever compared is kept as a hash. Whoever is given a secret sees it once, when it is made.
"""

import os
import re
import secrets
from hashlib import sha256
from pathlib import Path

import bcrypt

from takehome.errors import TakehomeError

FOLDER = Path("secrets")
_ROLES = {"python": "local", "fastapi": "api", "streamlit": "page"}
_LOGINS = {"owner": "JupyterLab and the page", "guest": "the page only"}
_KEYS = FOLDER / "fastapi/keys"
_PAGE_KEY = FOLDER / "streamlit/key"
_FORMS = {
    **{FOLDER / service / "pgpass": rf"\*:\*:\*:{role}:[\w-]{{32,}}\s*" for service, role in _ROLES.items()},
    _PAGE_KEY: r"takehome_[\w-]{43}\s*",
    _KEYS: r"([\w.-]+ [0-9a-f]{64}\s+)+",
    **{FOLDER / "caddy" / login: rf"{login} \$2[aby]\$[01]\d\$[./A-Za-z0-9]{{53}}\s*" for login in _LOGINS},
}
_EXAMPLES = ("changeme", "example", "password")


def make() -> list[str]:
    """Make what is missing in `secrets/`, and nothing else.

    Returns
    -------
    What the user has to keep, a line each; it can't be had again.
    """
    for service, role in _ROLES.items():
        if not (path := FOLDER / service / "pgpass").exists():
            _write(path, f"*:*:*:{role}:{secrets.token_urlsafe(32)}\n")
    if not _page_key_opens():
        _write(_PAGE_KEY, f"{_add_key('page')}\n")
    shown = [
        f"  {opens:<24} login {login}, password {_make_login(path)}"
        for login, opens in _LOGINS.items()
        if not (path := FOLDER / "caddy" / login).exists()
    ]
    if set(_keys()) <= {"page"}:
        shown.append(f"  {'the API':<24} key {_add_key('first')}")
    return shown


def add_key(name: str) -> str:
    """Make an API key in the place of the one of that name, if there is one; the API takes it at once.

    Raises
    ------
    TakehomeError
        The name is the page's, or has other characters than letters, digits, `.`, `_` and `-`.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", name):
        raise TakehomeError(f"{name!r} is no name for a key. Use up to 40 letters, digits and . _ -")
    if name == "page":
        raise TakehomeError(
            f"'page' is the page's own key. To replace it: rm {_PAGE_KEY} && make secrets, and start again."
        )
    return _add_key(name)


def _add_key(name: str) -> str:
    key = f"takehome_{secrets.token_urlsafe(32)}"
    kept = _keys() | {name: sha256(key.encode()).hexdigest()}
    _write(_KEYS, "".join(f"{name} {digest}\n" for name, digest in kept.items()))
    return key


def check() -> None:
    """See that no secret is missing, empty, an example, or readable by others.

    Raises
    ------
    TakehomeError
        One is, or `PUBLIC_NAME` is no name; the message names the first.
    """
    name = os.environ.get("PUBLIC_NAME", "localhost")
    if not re.fullmatch(r"[\w.-]+", name):
        raise TakehomeError(
            f"PUBLIC_NAME={name} is not the name of a machine, such as model.example.org. Correct it in .env."
        )
    for path, form in _FORMS.items():
        if not path.is_file():
            raise TakehomeError(f"{path} is missing. Make it: make secrets")
        text = path.read_text(errors="replace")
        if not text.strip():
            raise TakehomeError(f"{path} is empty. Make it anew: rm {path} && make secrets")
        if not re.fullmatch(form, text) or _is_example(text):
            raise TakehomeError(f"{path} holds an example or no secret. Make it anew: rm {path} && make secrets")
        if path.stat().st_mode & 0o077:
            raise TakehomeError(f"{path} can be read by other users. Close it: chmod 600 {path}")
    if not _page_key_opens():
        raise TakehomeError(f"{_PAGE_KEY} is not among the keys of {_KEYS}. Make it anew: make secrets")


def _make_login(path: Path) -> str:
    password = secrets.token_urlsafe(18)
    # A cheap hash of a password that nobody guesses: a dear one would let anybody keep the door busy.
    _write(path, f"{path.name} {bcrypt.hashpw(password.encode(), bcrypt.gensalt(10)).decode()}\n")
    return password


def _page_key_opens() -> bool:
    return _PAGE_KEY.exists() and sha256(_PAGE_KEY.read_bytes().strip()).hexdigest() == _keys().get("page")


def _keys() -> dict[str, str]:
    """Return the hashes of the API keys by name."""
    lines = _KEYS.read_text().splitlines() if _KEYS.exists() else []
    return {name: digest for name, _, digest in (line.partition(" ") for line in lines) if digest}


def _is_example(text: str) -> bool:
    login, _, digest = text.strip().partition(" $2")
    if digest:
        return any(bcrypt.checkpw(word.encode(), f"$2{digest}".encode()) for word in (*_EXAMPLES, login))
    return any(word in text.lower() or sha256(word.encode()).hexdigest() in text for word in _EXAMPLES)


def _write(path: Path, text: str) -> None:
    """Replace a file whole, so that neither a reader nor a kill finds half of it."""
    if not path.parent.is_dir():
        raise TakehomeError(f"{path.parent} is not in {Path.cwd()}. Change to the project's folder: cd ...")
    path.parent.chmod(0o700)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
