# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving a task's files into a folder: whole ones only, going on where an earlier attempt was cut short."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..service.answers import ResultFile
from ..service.errors import BadAnswer, LinkExpired, RodinError, Unreachable, os_reason
from ..service.files import Progress, SavedFile, safe_names, stated_size

if TYPE_CHECKING:
    from ..service.client import Client, Content

PAUSES = (1.0, 2.0, 4.0)
"""Seconds before each further attempt at a file that did not arrive."""
REPORT_EVERY = 0.2
"""Seconds between two reports of how far a file is."""
LOOK_AGAIN = 0.5
"""Seconds between two looks whether another Blender still saves into the folder."""
_HOPELESS = ("tls", "proxy")


class NotSaved(RodinError):
    """A file is not there in the end; the sentence names it, says why, and what to do."""


class BeingSaved(RodinError):
    """Another Blender is saving into the same folder."""

    def __init__(self) -> None:
        super().__init__("Another Blender is downloading this task.")


class Download:
    """Saves the files of one task into `folder`. `run` blocks, and may be called again after it raised.

    `report` gets a `Progress` now and then. `saved` holds, after `run` and while it raises, the files that are whole.
    """

    def __init__(
        self, client: Client, task_uuid: str, folder: Path, report: Callable[[Progress], None], *, wait: bool = True
    ) -> None:
        """With `wait`, another Blender that saves into the folder is waited for, else `run` raises BeingSaved."""
        self.folder = folder
        self.saved: list[SavedFile] = []
        self._client = client
        self._task_uuid = task_uuid
        self._report = report
        self._wait = wait
        self._files: tuple[ResultFile, ...] = ()
        self._progress = Progress()

    def run(self) -> None:
        """Make the folder and fetch what is not in it yet.

        A file that is there already is kept and not fetched: a final name is given to whole files only, or it is the
        user's. Raises ServiceError where the service gives no list of files, NotSaved, BeingSaved and Aborted.
        """
        self.saved.clear()
        self._files = self._client.download_list(self._task_uuid)
        if not self._files:
            raise NotSaved("The service lists no files for this task. Wait a minute and press Download again.")
        names = safe_names(file.name for file in self._files)
        with ExitStack() as stack:
            with _disk(f"The folder {self.folder}"):
                self._have_it_alone(stack)
            for number, name in enumerate(names, 1):
                path = self.folder / name
                with _disk(f"'{name}' in the folder {self.folder}"):
                    if not path.exists():
                        self._fetch(number, name)
                    self.saved.append(SavedFile(name, path.stat().st_size))
            # Of files that the service lists no more.
            _remove_parts(self.folder)

    def _have_it_alone(self, stack: ExitStack) -> None:
        while True:
            # Each time, since the one who is waited for may remove it.
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(_alone(self.folder))
                return
            except BeingSaved:
                if not self._wait:
                    raise
            self._report(Progress(waiting="Another Blender is downloading this task; waiting for it"))
            self._client.pause(LOOK_AGAIN)

    def _fetch(self, number: int, name: str) -> None:
        """Receive one file under its final name, asking again where that may help."""
        pauses = iter(PAUSES)
        expired = fresh = False
        self._progress = Progress(name, number, len(self._files))
        while True:
            try:
                if expired:
                    self._ask_again(number, name)
                    expired, fresh = False, True
                self._receive(number, name)
                return
            except LinkExpired as error:
                if fresh:
                    raise self._not_saved(name, error) from None
                expired = True
            except (Unreachable, BadAnswer) as error:
                pause = next(pauses, None) if _may_help(error) else None
                if pause is None:
                    raise self._not_saved(name, error) from None
                self._report(replace(self._progress, waiting=f"{error} Trying again in {pause:g} s"))
                self._client.pause(pause)
                fresh = False

    def _ask_again(self, number: int, name: str) -> None:
        """The list once more, for fresh links. Its names must still be the same."""
        files = self._client.download_list(self._task_uuid)
        if [file.name for file in files[:number]] != [file.name for file in self._files[:number]]:
            raise NotSaved(f"'{name}': the service's list of files has changed meanwhile. Press Download again.")
        self._files = files

    def _receive(self, number: int, name: str) -> None:
        path = self.folder / name
        # No safe name begins with a dot, so these are never the names of other files of the task.
        part, version = path.with_name(f".{name}.part"), path.with_name(f".{name}.version")
        there = part.stat().st_size if part.exists() and version.exists() else 0
        known = version.read_text("ascii", "replace") if there else ""
        resumable = True
        try:
            # The part is emptied before the version of what follows is noted: a kill in between leaves no mixture.
            with (
                self._client.fetch(self._files[number - 1], there, known) as content,
                part.open("ab" if content.start else "wb") as output,
            ):
                if not content.start:
                    version.write_text(content.version, "ascii")
                    resumable = bool(content.version)
                received = self._write(content, output.write)
                output.flush()
                os.fsync(output.fileno())
        except BaseException:
            if not resumable:
                part.unlink(missing_ok=True)
                version.unlink(missing_ok=True)
            raise
        stated = stated_size(head(part))
        if stated is not None and stated > received:
            # The server takes it for whole, so there is nothing to go on with.
            part.unlink()
            version.unlink()
            raise Unreachable("reset", f"It came incomplete: {received} of the {stated} bytes that it says it has.")
        if path.exists():
            part.unlink()  # The user's own, since we looked.
        else:
            part.rename(path)
        version.unlink(missing_ok=True)

    def _write(self, content: Content, write: Callable[[bytes], object]) -> int:
        """Pass the pieces on, and tell how far it is. Returns the bytes of the file that are there."""
        received, counted, since = content.start, content.start, time.monotonic()
        speed = 0.0
        self._progress = replace(self._progress, received=received, size=content.size, speed=0.0)
        self._report(self._progress)
        for piece in content.pieces:
            write(piece)
            received += len(piece)
            now = time.monotonic()
            if now - since >= REPORT_EVERY:
                lately = (received - counted) / (now - since)
                speed = 0.7 * speed + 0.3 * lately if speed else lately
                counted, since = received, now
                self._progress = replace(self._progress, received=received, speed=speed)
                self._report(self._progress)
        return received

    def _not_saved(self, name: str, error: RodinError) -> NotSaved:
        there = f"{len(self.saved)} of {len(self._files)} files are there."
        return NotSaved(f"'{name}' did not arrive: {error} {there} Press Download to go on.")


def remove(folder: Path, names: Iterable[str]) -> tuple[int, dict[str, str]]:
    """Remove these files from a task's folder, what unfinished attempts have left there, and the folder if it is empty.

    Returns the bytes freed, and why a file is still there, by name. Raises BeingSaved.
    """
    freed, left = 0, {}
    with ExitStack() as stack:
        # Where no lock can be had, as on some full disks, it is tried without.
        with suppress(OSError):
            stack.enter_context(_alone(folder))
        for name in names:
            path = folder / name
            try:
                size = path.stat().st_size
                path.unlink()
                freed += size
            except (FileNotFoundError, NotADirectoryError):
                pass
            except OSError as error:
                left[name] = os_reason(error)
        _remove_parts(folder)
    with suppress(OSError):
        folder.rmdir()
    return freed, left


def _remove_parts(folder: Path) -> None:
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name.startswith(".") and path.name.endswith((".part", ".version")):
                path.unlink()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other Blenders out of a task's folder; the lock of a killed one holds nobody up.

    Raises BeingSaved where another one is in it, and OSError.
    """
    path = folder / ".lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(lock)
        # The one who had it may have removed it meanwhile: then it is no longer the file that others find.
        if not os.fstat(lock).st_nlink:
            raise BeingSaved
        try:
            yield
        finally:
            # While we have it, so that it is nobody else's.
            with suppress(OSError):
                path.unlink()
    finally:
        os.close(lock)
        if sys.platform == "win32":
            # Where no open file can be removed.
            with suppress(OSError):
                path.unlink()


def _lock(file: int) -> None:
    """Take the system's own lock on a file, which ends with the process. Raises BeingSaved, OSError."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise BeingSaved from None


def _may_help(error: Unreachable | BadAnswer) -> bool:
    """Whether a file that did not arrive may do so when it is asked for again."""
    if isinstance(error, Unreachable):
        return error.cause not in _HOPELESS
    return error.http_status == 429 or error.http_status >= 500


def head(path: Path) -> bytes:
    """The first bytes of a file, for `stated_size`."""
    with path.open("rb") as file:
        return file.read(12)


@contextmanager
def _disk(what: str) -> Iterator[None]:
    """Errors of the disk as sentences about `what` could not be written."""
    try:
        yield
    except OSError as error:
        advice = (
            "Free some space, then press Download: it goes on where it stopped."
            if error.errno in (errno.ENOSPC, errno.EDQUOT)
            else "Allow writing there or set another folder in the preferences, then press Download."
        )
        raise NotSaved(f"{what} cannot be written: {os_reason(error)}. {advice}") from None
