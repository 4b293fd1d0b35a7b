# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of tasks: fetched by workers, noted in the store, deleted when the user asks for that.

A download is noted as wanted before it begins and until it ends, so that one cut short by a crash or by quitting goes
on at the next start. All of it runs in the tracker's thread, but for `_save`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from ..service.connection import Connection
from ..service.errors import (
    Aborted,
    ClientUnavailable,
    NotAuthorized,
    Refused,
    ServiceError,
    os_reason,
    trouble_of,
)  # fmt: skip
from ..service.files import Progress, SavedFile, fault, models
from ..storage.model_file import triangles
from ..storage.task_folder import FolderLocked, head_of, remove
from ..tasks.refusals import NOT_PERMITTED
from ..tasks.task import Download, Status, Task, without_files
from ..tasks.templates import Names
from ..texts.actions import Action
from ..texts.text import Text, Trouble
from .fetching import Download as Fetching
from .fetching import missing_text
from .messages import DownloadEnded, DownloadProgress, FilesDeleted, Message, ModelChecked
from .workers import Pool, WorkItem

DOWNLOADERS = 2

_UNKNOWN_UUID = Trouble(
    "no_such_task",
    "The service knows no task with this uuid (NO_SUCH_TASK), or keeps its files no more: it does so for 7 days.",
    Action.ENTER_UUID,
    Action.FIND_UUID,
)

WAITING = Text("Waiting to download")

Change = Callable[[str, Callable[[Task], Task]], None]


@dataclass
class _Running:
    item: WorkItem
    folder: Path
    forgotten: bool = False


@dataclass(frozen=True)
class _Outcome:
    """The files that are whole now, which sidecars did not arrive, and what kept what is needed from being there."""

    saved: tuple[SavedFile, ...]
    error: Exception | None
    missing: Text | None = None
    gone: frozenset[str] = frozenset()
    """The names of files that were saved before, and are not there any more."""


class Downloads:
    def __init__(
        self,
        inbox: SimpleQueue[Callable[[], None]],
        change: Change,
        tell: Callable[[Message], None],
        names: Callable[[], Names] = Names,
    ) -> None:
        """`change` applies a function to a stored task; `tell` sends a message to the tracker's owner.

        `names` tells how folders and files are to be called now.
        """
        self.pool = Pool("rodin-download", DOWNLOADERS, inbox)
        self._inbox = inbox
        self._change = change
        self._tell = tell
        self._names = names
        self._running: dict[str, _Running] = {}
        self._unfinished: list[str] | None = None
        self._unstored: list[tuple[str, Callable[[Task], Task]]] = []
        """What ended downloads have made of their tasks, and is not yet in the store."""

    def begin(
        self, task: Task, parent: Path, connection: Connection, *, wait: bool = True, again: bool = False
    ) -> None:
        """Save a task's files into a folder of its own below `parent`, or where they were saved before.

        With `again` those that are there are fetched anew, too. Ends with a DownloadEnded. While that is awaited,
        another call does nothing. Raises StoreError, and then nothing was begun.
        """
        if task.task_id in self._running:
            return
        folder = Path(task.folder)
        if not task.folder or not _is_folder(folder):
            # The id is put behind what was cut to length, so that no two tasks share a folder.
            folder = parent / self._names().folder_name(task)
        known = task.files if task.folder == str(folder) else ()
        rename = self._names().renaming(task)

        def report(progress: Progress) -> None:
            self._inbox.put(partial(self._progressed, task.task_id, progress))

        def wanted(stored: Task) -> Task:
            files = stored.files if stored.folder == str(folder) else ()
            return replace(stored, download=Download.WANTED, folder=str(folder), files=files)

        item = WorkItem(
            lambda client: _save(
                Fetching(
                    client, task.task_uuid, folder, report, known=known, again=again, wait=wait, rename=rename
                ),
                known,
            ),
            partial(self._ended, task),
            connection,
        )
        # The download is registered before the store is changed, which may find that the task was forgotten.
        self._running[task.task_id] = _Running(item, folder)
        try:
            self.store_pending()
            self._change(task.task_id, wanted)
        except BaseException:
            del self._running[task.task_id]
            raise
        self._progressed(task.task_id, Progress(waiting=WAITING))
        self.pool.submit(item)

    def find_unfinished(self, tasks: Iterable[Task]) -> None:
        """Keep in mind, at the first call, which downloads an earlier Blender was not allowed to end."""
        if self._unfinished is None:
            self._unfinished = [task.task_id for task in tasks if task.download is Download.WANTED]
            for task_id in self._unfinished:
                waiting = Text("Goes on as soon as the service can be asked")
                self._tell(DownloadProgress(task_id, Progress(waiting=waiting)))

    def resume(self, tasks: Iterable[Task], connection: Connection) -> None:
        """Go on with those. One that another Blender is at is left to it. Raises StoreError."""
        if self._unfinished:
            for task in [task for task in tasks if task.task_id in self._unfinished]:
                if task.download is Download.WANTED:
                    self.begin(task, Path(task.folder).parent, connection, wait=False)
                else:
                    # Another Blender has ended or cancelled the download meanwhile.
                    self._tell(DownloadEnded(task.task_id, "", None))
            self._unfinished = []

    def store_pending(self) -> None:
        """Store what could not be stored before. Raises StoreError."""
        while self._unstored:
            self._change(*self._unstored[0])
            del self._unstored[0]

    @property
    def busy(self) -> bool:
        return bool(self._unfinished or self._unstored) or self.pool.busy

    def cancel(self, task: Task) -> None:
        """Raises StoreError."""
        running = self._running.get(task.task_id)
        if running:
            self.pool.cancel(running.item)
        elif task.task_id in (self._unfinished or ()):
            self._end(task, Path(task.folder), _Outcome((), Aborted()))

    def forget(self, task: Task) -> None:
        """The task has left the list. Whole files stay; nobody is to go on with the others."""
        self._forget_unfinished(task)
        running = self._running.get(task.task_id)
        if running:
            running.forgotten = True
            self.pool.cancel(running.item)
        elif task.folder:
            _remove_unfinished(Path(task.folder))

    def delete(self, task: Task) -> None:
        """Delete the files that were saved, and only those. Raises StoreError."""
        here = task.task_id in self._running or task.task_id in (self._unfinished or ())
        try:
            if here:
                raise FolderLocked
            names = [file.name for file in task.files]
            freed, reasons = remove(Path(task.folder), names) if task.folder else (0, {})
        except FolderLocked as error:
            text = Text("{why} Cancel that there first.", why=error.trouble)
            if here:
                text = Text("It is being downloaded: cancel that first.")
            self._tell(FilesDeleted(task.task_id, text, failed=True))
            return
        left = tuple(file for file in task.files if file.name in reasons)
        self.store_pending()
        self._change(task.task_id, partial(without_files, left=left))
        text = Text("{freed:size} deleted.", freed=freed)
        if left:
            text = Text(
                "{freed:size} deleted. '{name}' in {folder} could not be deleted: {reason}. Close what uses it, or "
                "allow writing there, and try again.",
                freed=freed,
                name=left[0].name,
                folder=task.folder,
                reason=reasons[left[0].name],
            )
        self._tell(FilesDeleted(task.task_id, text, failed=bool(left)))

    def check(self, task: Task, name: str) -> None:
        """See whether a model is still there and whole, before Blender stops to import it. Raises StoreError."""
        found = models(task.files)
        file = next((file for file in found if not name or file.name == name), None)
        if file is None:
            self._tell(ModelChecked(task.task_id, trouble=_no_model(task, name)))
            return
        path = Path(task.folder) / file.name
        try:
            head, size = head_of(path)
            wrong = fault(file.name, head, size)
            text = Text("{path} cannot be imported. {wrong}", path=str(path), wrong=wrong) if wrong else None
        except OSError as error:
            size, text = 0, Text("{path} cannot be read: {reason}.", path=str(path), reason=os_reason(error))
        if text:
            self._tell(ModelChecked(task.task_id, trouble=Trouble("damaged_model", text, Action.DOWNLOAD)))
            self._change(task.task_id, partial(_without_file, name="" if path.exists() else file.name))
        else:
            self._tell(ModelChecked(task.task_id, str(path), size, triangles=triangles(path)))

    def _progressed(self, task_id: str, progress: Progress) -> None:
        """In the tracker's thread, so that nothing is told of a task after its end or removal."""
        running = self._running.get(task_id)
        if running and not running.forgotten:
            self._tell(DownloadProgress(task_id, progress))

    def _ended(self, task: Task, result: _Outcome | Exception) -> None:
        running = self._running.pop(task.task_id)
        outcome = _Outcome((), result) if isinstance(result, Exception) else result
        if running.forgotten:
            _remove_unfinished(running.folder)
        elif isinstance(outcome.error, FolderLocked):
            self._tell(DownloadEnded(task.task_id, "", None))
        elif self.pool.stopping and isinstance(outcome.error, Aborted) and not running.item.cancelled:
            # The download stays WANTED, so that the next start resumes it.
            self._store_outcome(task, outcome, Download.WANTED)
        else:
            self._end(task, running.folder, outcome)

    def _forget_unfinished(self, task: Task) -> None:
        self._unfinished = self._unfinished and [task_id for task_id in self._unfinished if task_id != task.task_id]

    def _end(self, task: Task, folder: Path, outcome: _Outcome) -> None:
        self._forget_unfinished(task)
        whole = outcome.error is None and task.status.final
        try:
            self._store_outcome(task, outcome, Download.SAVED if whole else Download.NONE)
        finally:
            said = _ended(task, outcome)
            cancelled = isinstance(outcome.error, Aborted)
            there = "" if outcome.error else str(folder)
            self._tell(DownloadEnded(task.task_id, there, said, cancelled, outcome.missing))

    def _store_outcome(self, task: Task, outcome: _Outcome, download: Download) -> None:
        looked_at = {file.name for file in outcome.saved} | outcome.gone
        wanted = download is Download.WANTED

        def change(stored: Task) -> Task:
            # Where it is to go on, the folder says where, though it may not be there yet.
            is_there = wanted or outcome.saved or _is_folder(Path(stored.folder))
            return replace(
                stored,
                folder=stored.folder if is_there else "",
                files=(*outcome.saved, *(file for file in stored.files if file.name not in looked_at)),
                download=download,
                # The wrong uuid is cleared, so that the right one can be entered.
                task_uuid="" if _is_unknown(outcome) and stored.task_uuid == task.task_uuid else stored.task_uuid,
            )

        self._unstored.append((task.task_id, change))
        self.store_pending()


def not_started(why: Trouble) -> Trouble:
    """What is told of a download that cannot be begun now."""
    return Trouble(why.code, Text("Nothing was downloaded. {why}", why=why), Action.DOWNLOAD)


def _ended(task: Task, outcome: _Outcome) -> Text | Trouble:
    error = outcome.error
    if error is None:
        return _saved_text(task, outcome)
    if isinstance(error, Aborted):
        return Trouble("cancelled", "The download was cancelled; what has arrived is kept.", Action.DOWNLOAD)
    if _is_unknown(outcome):
        return _UNKNOWN_UUID
    trouble = trouble_of(error)
    if isinstance(error, NotAuthorized):
        return Trouble(trouble.code, trouble.text, Action.ENTER_KEY, Action.DOWNLOAD)
    if isinstance(error, Refused) and error.code == "PERMISSION_DENIED":
        return Trouble(NOT_PERMITTED.code, NOT_PERMITTED.text, Action.DOWNLOAD)
    if isinstance(error, ServiceError) and not isinstance(error, ClientUnavailable):
        text = Text("The list of its files did not come. {why}", why=trouble)
        return Trouble(trouble.code, text, Action.DOWNLOAD)
    return trouble


def _saved_text(task: Task, outcome: _Outcome) -> Text | Trouble:
    count, size = len(outcome.saved), sum(file.size for file in outcome.saved)
    text = Text("1 file is saved ({size:size}).", size=size)
    if count != 1:
        text = Text("{count} files are saved ({size:size}).", count=count, size=size)
    if outcome.missing:
        text = Text("{saved} {missing}", saved=text, missing=outcome.missing)
    if not task.status.final:
        text = Text("{saved} The task is not finished, so more files may come.", saved=text)
        return Trouble("not_finished", text, Action.DOWNLOAD_LATER)
    if task.status is Status.PARTLY_FAILED:
        return Text("{saved} Some of its jobs failed, so files may be missing.", saved=text)
    return text


def _without_file(task: Task, name: str) -> Task:
    """The task when a file of it was found to be broken, or gone where it is named: it is to be downloaded again."""
    return replace(task, files=tuple(file for file in task.files if file.name != name), download=Download.NONE)


def _no_model(task: Task, name: str) -> Trouble:
    if not task.files:
        return Trouble("no_model", "None of its files is there.", Action.DOWNLOAD)
    text = Text("There is no model among its {count} files.", count=len(task.files))
    if name:
        text = Text("There is no model '{name}' among its {count} files.", name=name, count=len(task.files))
    return Trouble("no_model", text, Action.OPEN_FOLDER)


def _is_unknown(outcome: _Outcome) -> bool:
    return isinstance(outcome.error, Refused) and outcome.error.code == "NO_SUCH_TASK"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _remove_unfinished(folder: Path) -> None:
    """What another Blender is at is left to it."""
    with suppress(FolderLocked):
        remove(folder, ())


def _save(fetching: Fetching, known: Iterable[SavedFile]) -> _Outcome:
    """For a worker's thread. `known` is what was saved there before."""
    failure = None
    try:
        fetching.run()
    except Exception as error:
        failure = error
    gone = frozenset(file.name for file in known if not os.path.lexists(fetching.folder / file.name))
    return _Outcome(tuple(fetching.saved), failure, None if failure else missing_text(fetching.missing), gone)
