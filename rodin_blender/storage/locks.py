# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock on a file, which keeps other programs out, and ends with the process that holds it."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..service.errors import RodinError

POLL_INTERVAL = 0.05
"""Seconds between two attempts, where a lock is waited for."""

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
"""What a file system without locks answers: CIFS and NFS by how they are mounted, some in user space."""


class Locked(RodinError):
    """Another program holds the lock."""

    def __init__(self) -> None:
        super().__init__("Another program holds the lock.")


@contextmanager
def acquire(path: Path, timeout: float = 0.0) -> Iterator[None]:
    """Hold the lock on the file `path`, which is made and removed, while the block runs.

    Where the file system has no locks, a file in this computer's folder of temporary files is locked in its place: that
    keeps out all programs of this user on this computer, nearly all that there are. Where that cannot be, it goes on
    without a lock: two programs that fetch the same at once cost time, and a user who can fetch nothing loses more.

    Another holder is waited for as long as `timeout` says, in seconds. Raises Locked after that, and OSError where
    the file cannot be made.
    """
    until = time.monotonic() + timeout
    while True:
        try:
            lock, file = _acquired(path)
            break
        except Locked:
            if time.monotonic() >= until:
                raise
        time.sleep(POLL_INTERVAL)
    try:
        yield
    finally:
        _release(lock, file)


def _acquired(path: Path) -> tuple[Path, int | None]:
    """The file that was locked in the end, and its descriptor. Raises Locked, OSError."""
    try:
        return path, _locked(path)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    with suppress(OSError):
        path.unlink()
    try:
        stand_in = _in_temporary_folder(path)
        return stand_in, _locked(stand_in)
    except OSError:
        return path, None


def _locked(path: Path) -> int:
    """The descriptor of a file that is open and locked. Raises Locked, OSError."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(file)
        # The former holder may have removed the file meanwhile: then it is no longer the one that others find.
        if not os.fstat(file).st_nlink:
            raise Locked
    except BaseException:
        os.close(file)
        raise
    return file


def _lock(file: int) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise Locked from None


def _release(path: Path, file: int | None) -> None:
    if file is None:
        return
    # The file is removed while it is locked, so that it is nobody else's. Windows cannot remove an open one.
    with suppress(OSError):
        path.unlink()
    os.close(file)
    if sys.platform == "win32":
        with suppress(OSError):
            path.unlink()


def _in_temporary_folder(path: Path) -> Path:
    """A file of this user's that stands for `path` on this computer. Raises OSError."""
    # It is imported late since nearly nobody needs it.
    import tempfile

    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    if sys.platform == "win32":
        return Path(tempfile.gettempdir(), f"rodin-{name}.lock")
    # All users share the folder, so a place in it may be another's trap.
    folder = Path(tempfile.gettempdir(), f"rodin-blender-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    return folder / f"{name}.lock"
