"""Closes a process off, as far as Linux lets a user without rights do so, then becomes the command that is named.

Run as a script: `python -I sandbox.py STATUS_FILE READ_ONLY_FOLDER... -- COMMAND...`. Inside, only loopback is left of
the network, the folders are read-only, and the host has another name. What could be had is written to STATUS_FILE as
JSON: `{"network": bool, "data": bool}`. Where namespaces are forbidden (in our container, on macOS) the command runs
all the same.
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
from pathlib import Path

HOST_NAME = "verification"
_NEW_MOUNTS, _NEW_HOST_NAME, _NEW_USER, _NEW_NETWORK = 0x20000, 0x4000000, 0x10000000, 0x40000000
_READ_ONLY, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 32, 4096, 16384, 1 << 18
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1


def close_off(folders: list[str]) -> dict[str, bool]:
    """Leave network, host name and writable folders behind; return which of it could be had."""
    user, group = os.geteuid(), os.getegid()
    _call("unshare", _NEW_USER | _NEW_MOUNTS | _NEW_NETWORK | _NEW_HOST_NAME)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    _start_loopback()
    socket.sethostname(HOST_NAME)
    try:
        for folder in folders:
            _make_read_only(folder)
    except OSError:
        return {"network": True, "data": False}
    return {"network": True, "data": True}


def _start_loopback() -> None:
    """Bring up 127.0.0.1, which programs use to talk to their own helpers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(channel, _GET_FLAGS, request))[1]
        fcntl.ioctl(channel, _SET_FLAGS, struct.pack("16sH14x", b"lo", flags | _UP))


def _make_read_only(folder: str) -> None:
    path = folder.encode()
    _call("mount", b"none", b"/", None, _RECURSIVE | _PRIVATE, None)
    _call("mount", path, path, None, _BIND | _RECURSIVE, None)
    # What the mount was forbidden before (set-user-id programs, devices) has to stay so.
    kept = os.statvfs(folder).f_flag & (os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC | os.ST_NOATIME | os.ST_RELATIME)
    _call("mount", path, path, None, _BIND | _REMOUNT | _READ_ONLY | kept, None)


def _call(name: str, *arguments: object) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _allowed() -> bool:
    """Try it in a child: a half-made attempt can't be taken back."""
    if sys.platform != "linux":
        return False
    child = os.fork()
    if child == 0:
        try:
            close_off([])
        except BaseException:  # noqa: BLE001, RUF100
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def main() -> None:
    """Close off, say how far that went, and become the command."""
    status, *rest = sys.argv[1:]
    end = rest.index("--")
    had = close_off(rest[:end]) if _allowed() else {"network": False, "data": False}
    Path(status).write_text(json.dumps(had), encoding="ascii")
    os.execv(rest[end + 1], rest[end + 1 :])  # nosec B606


if __name__ == "__main__":
    main()
