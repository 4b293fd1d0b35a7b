# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving a task's files into a folder: whole ones only, going on where an earlier attempt was cut short."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..service.answers import ResultFile
from ..service.errors import BadAnswer, LinkExpired, RodinError, Unreachable
from ..service.files import Progress, SavedFile, fault, safe_paths
from ..storage.disk import is_controlled, replace_file, write_reason
from ..storage.task_folder import (
    FolderLocked,
    head_of,
    is_needed,
    lock_folder,
    part_of,
    remove_parts,
    saved_file,
    set_aside,
    trouble,
    version_of,
)
from ..texts.actions import Action
from ..texts.text import Text, Trouble

if TYPE_CHECKING:
    from ..service.client import Client, Content

RETRY_DELAYS = (1.0, 2.0, 4.0)
"""Seconds before each further attempt at a file that did not arrive."""
REPORT_EVERY = 0.2
"""Seconds between two reports of how far a file is."""
POLL_INTERVAL = 0.5
"""Seconds between two looks whether another Blender still saves into the folder."""
_NOT_RETRIED = ("tls", "proxy")


class NotSaved(RodinError):
    """Files are not there in the end; it is told of one, with why, and what to do."""

    _code = "not_saved"


class _NotArrived(RodinError):
    """One file did not arrive, and why."""


class _WrongContent(RodinError):
    """What came in a file's place is not that file, but what is told."""


class Download:
    """Saves the files of one task into `folder`. `run` blocks, and may be called again after it raised.

    `report` gets a `Progress` now and then. After `run` and while it raises, `saved` holds the files that are whole,
    and `missing` says of each other one, by name, why it did not arrive.
    """

    def __init__(
        self,
        client: Client,
        task_uuid: str,
        folder: Path,
        report: Callable[[Progress], None],
        *,
        known: Iterable[SavedFile] = (),
        again: bool = False,
        wait: bool = True,
        rename: Callable[[str], str] = str,
    ) -> None:
        """`known` is what was saved there before. With `again` all is fetched anew, and replaces what is there.

        `rename` makes a file's name of the service's; one that was saved before keeps the name it has.
        With `wait`, another Blender that saves into the folder is waited for, else `run` raises FolderLocked.
        """
        self.folder = folder
        self.saved: list[SavedFile] = []
        self.missing: dict[str, Trouble] = {}
        self._client = client
        self._task_uuid = task_uuid
        self._report = report
        self._known = {file.name: file for file in known}
        self._again = again
        self._wait = wait
        self._rename = rename
        self._files: tuple[ResultFile, ...] = ()
        self._progress = Progress()
        self._attempts: tuple[float, ...] = RETRY_DELAYS
        self._damaged: set[str] = set()
        """The names of files that are set aside when they are replaced."""

    def run(self) -> None:
        """Make the folder and fetch what is not in it yet, or not whole.

        A file that is there and looks whole is kept and not fetched: a final name is given to whole files only, or it
        is the user's. One of the size that was saved, with another checksum, is set aside. One that does not arrive
        does not keep the others from being fetched. Raises NotSaved where a model is among them, or nothing arrived;
        ServiceError where the service gives no list of files, FolderLocked, Aborted.
        """
        self.saved.clear()
        self.missing.clear()
        self._files = self._client.download_list(self._task_uuid)
        if not self._files:
            raise NotSaved("The service lists no files for this task yet; it may take a minute.", Action.DOWNLOAD)
        had = {file.source or file.name: file.name for file in self._known.values()}
        names = safe_paths(had.get(file.name) or self._rename(file.name) for file in self._files)
        plain = safe_paths(file.name for file in self._files)
        with ExitStack() as stack:
            with _disk_errors(Text("The folder {folder}", folder=str(self.folder)), self.folder):
                self._lock_folder(stack)
            for number, name in enumerate(names, 1):
                what = Text("'{name}' in the folder {folder}", name=name, folder=str(self.folder))
                with _disk_errors(what, part_of(self.folder, name)):
                    try:
                        found = None if self._again else self._reusable(name)
                        if found is None:
                            self._fetch(number, name)
                            found = saved_file(self.folder, name)
                        source = "" if name == plain[number - 1] else self._files[number - 1].name
                        self.saved.append(replace(found, source=source))
                    except _NotArrived as error:
                        self.missing[name] = error.trouble
            # What is left are parts of files that the service no longer lists.
            remove_parts(self.folder, keep=self.missing)
        if not self.saved or any(map(is_needed, self.missing)):
            text = Text(
                "{missing} {count} of {all} files are there.",
                missing=missing_text(self.missing) or Text(""),
                count=len(self.saved),
                all=len(self._files),
            )
            raise NotSaved(text, Action.DOWNLOAD)

    def _reusable(self, name: str) -> SavedFile | None:
        """A file that is there and need not be fetched; None for one that does."""
        before = self._known_file(name)
        if trouble(self.folder, before):
            return None
        now = saved_file(self.folder, name)
        if before.sha256 and now.size == before.size and now.sha256 != before.sha256:
            # As many bytes, and others: so does a disk damage a file. Who paints a texture hardly ever meets its size.
            self._damaged.add(name)
            return None
        return now

    def _known_file(self, name: str) -> SavedFile:
        return self._known.get(name, SavedFile(name, 0))

    def _lock_folder(self, stack: ExitStack) -> None:
        while True:
            # The folder is made each time, since the Blender that is waited for may remove it.
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(lock_folder(self.folder))
                return
            except FolderLocked:
                if not self._wait:
                    raise
            self._report(Progress(waiting=Text("Another Blender is downloading this task; waiting for it")))
            self._client.pause(POLL_INTERVAL)

    def _fetch(self, number: int, name: str) -> None:
        """Receive one file under its final name, asking again where that may help."""
        pauses = iter(self._attempts)
        expired = fresh = False
        self._progress = Progress(name, number, len(self._files))
        while True:
            try:
                if expired:
                    self._refresh_links(number, name)
                    expired, fresh = False, True
                self._receive(number, name)
                return
            except LinkExpired as error:
                if fresh:
                    raise _NotArrived(error.trouble) from None
                expired = True
            except (Unreachable, BadAnswer, _WrongContent) as error:
                pause = next(pauses, None) if _is_retryable(error) else None
                if pause is None:
                    if isinstance(error, Unreachable):
                        # Whatever is in the way is hardly that file's alone: each other one is tried once.
                        self._attempts = ()
                    raise _NotArrived(error.trouble) from None
                waiting = Text("{why} Trying again in {pause} s", why=error.trouble, pause=pause)
                self._report(replace(self._progress, waiting=waiting))
                self._client.pause(pause)
                fresh = False

    def _refresh_links(self, number: int, name: str) -> None:
        """The list once more, for fresh links. Its names must still be the same."""
        files = self._client.download_list(self._task_uuid)
        if [file.name for file in files[:number]] != [file.name for file in self._files[:number]]:
            text = Text("'{name}': the service's list of files has changed meanwhile.", name=name)
            raise NotSaved(text, Action.DOWNLOAD)
        self._files = files

    def _receive(self, number: int, name: str) -> None:
        part, version = part_of(self.folder, name), version_of(self.folder, name)
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
                self._write(content, output.write)
                output.flush()
                os.fsync(output.fileno())
        except BaseException:
            if not resumable:
                part.unlink(missing_ok=True)
                version.unlink(missing_ok=True)
            raise
        wrong = fault(name, *head_of(part))
        if wrong:
            # The server takes it for whole, so there is nothing to go on with.
            with suppress(OSError):
                part.unlink()
                version.unlink()
            raise _WrongContent(wrong)
        self._place(part, name)
        with suppress(OSError):
            version.unlink()

    def _place(self, part: Path, name: str) -> None:
        """Give a whole file its final name, in the place of what is not whole, but never of what may be the user's."""
        path = self.folder / name
        if path.exists() and not self._again:
            if name not in self._damaged and not trouble(self.folder, self._known_file(name)):
                part.unlink()  # The user's own, since we looked.
                return
            if not trouble(self.folder, SavedFile(name, 0)):
                set_aside(path)
        replace_file(part, path, self._client.pause)

    def _write(self, content: Content, write: Callable[[bytes], object]) -> None:
        """Pass the pieces on, and tell how far it is."""
        received, counted, since = content.start, content.start, time.monotonic()
        speed = 0.0
        self._progress = replace(self._progress, received=received, size=content.size, speed=0.0)
        self._report(self._progress)
        for piece in content.chunks:
            write(piece)
            received += len(piece)
            now = time.monotonic()
            if now - since >= REPORT_EVERY:
                lately = (received - counted) / (now - since)
                speed = 0.7 * speed + 0.3 * lately if speed else lately
                counted, since = received, now
                self._progress = replace(self._progress, received=received, speed=speed)
                self._report(self._progress)


def missing_text(missing: dict[str, Trouble]) -> Text | None:
    """Which files did not arrive, and why; a model first. None where all did."""
    if not missing:
        return None
    name = min(missing, key=lambda name: not is_needed(name))
    text = "'{name}' did not arrive: {why}"
    if len(missing) > 1:
        text = "'{name}' did not arrive: {why} {others} more did not either."
    return Text(text, name=name, why=missing[name], others=len(missing) - 1)


def _is_retryable(error: Unreachable | BadAnswer | _WrongContent) -> bool:
    """Whether a file that did not arrive may do so when it is asked for again."""
    if isinstance(error, Unreachable):
        return error.cause not in _NOT_RETRIED
    if isinstance(error, _WrongContent):
        return True
    return error.http_status == 429 or error.http_status >= 500


@contextmanager
def _disk_errors(what: Text, path: Path) -> Iterator[None]:
    """Errors of the disk as sentences about `what`, the file or folder `path`, could not be written."""
    try:
        yield
    except OSError as error:
        actions = [Action.ALLOW_WRITING, Action.SET_FOLDER]
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            actions = [Action.FREE_SPACE]
        elif is_controlled(error, path):
            actions = [Action.SET_FOLDER]
        text = Text("{what} cannot be written: {reason}.", what=what, reason=write_reason(error, path))
        raise NotSaved(text, *actions, Action.DOWNLOAD) from None
