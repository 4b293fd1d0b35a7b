# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be generated, on the disk before a byte of it is sent: one folder for each submission.

A folder is called by its task's id and holds `request.json`, copies of the pictures (`1/vase.png`, …), and of each
attempt to send it the marker `N.sent` and what came of it: `N.answer`, the service's answer as it came, or `N.unsent`,
where the service surely did not take it. Who makes the marker, and nobody else, may send. So the files alone say what
may still be sent, whatever becomes of the list of tasks: it may be deleted, or replaced by an older copy.

All of it waits for the disk, so none of it is for Blender's main thread. Never imports `bpy`.
"""

from __future__ import annotations

import enum
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ..service.answers import RawAnswer
from ..service.errors import BadInput, RodinError, os_reason
from ..tasks.generation_request import GenerationRequest
from ..tasks.task import Status, Task
from ..texts.actions import Action
from ..texts.text import Text
from . import locks, private_files
from .stored_request import StoredRequest, copied, from_json, to_json

REQUEST = "request.json"
LOCK = ".lock"
RESERVED = 16 * 1024
"""Bytes that are kept free for the answer: a disk that gets full while it is awaited does not lose it."""
LOCK_TIMEOUT = 2.0
"""Seconds that a sender waits for its lock: those who look whether somebody sends hold it for a moment."""
FORGOTTEN = "forgotten.json"
"""The name of a request that the user has forgotten: it is no submission any more."""
_REMOVED = ".forgotten-"
FORGOTTEN_LASTS = 24 * 3600.0
"""Seconds for which what was forgotten can come back."""
_NEW = ".new-"


class OutboxError(RodinError):
    """A submission's folder cannot be read or written; the sentence says why."""

    _code = "outbox"


class NotSendable(RodinError):
    """Somebody sends it or has sent it, or its folder is gone: it must not be sent by us."""


class State(enum.Enum):
    """What the files of a submission say about it."""

    GONE = enum.auto()
    UNSENT = enum.auto()
    SENDING = enum.auto()
    """Sent by a program that is still at it."""
    UNCERTAIN = enum.auto()
    """Sent, and nobody waits for the answer any more."""
    ANSWERED = enum.auto()


class Attempt(NamedTuple):
    """The last attempt of a submission: its number, 0 for none; when, and the account's credits just before it."""

    number: int
    at: float = 0.0
    balance: float | None = None


class Outbox:
    """The submissions below one folder, which is made when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, request: GenerationRequest) -> StoredRequest:
        """Check and copy the pictures and write the request: the folder is there whole, or not at all.

        Raises BadInput for a picture that the service would not take, OutboxError for the disk.
        """
        new = self.folder / f"{_NEW}{request.task_id}-{secrets.token_hex(4)}"
        with _disk_errors(self.folder):
            try:
                new.mkdir(parents=True, mode=0o700)
                pictures = tuple(copied(path, new, number) for number, path in enumerate(request.pictures, 1))
                stored = StoredRequest(request, pictures, time.time())
                private_files.write_synced(new / REQUEST, json.dumps(to_json(stored)).encode())
                private_files.sync_folder(new)
                new.rename(self.folder / request.task_id)
                private_files.sync_folder(self.folder)
            finally:
                shutil.rmtree(new, ignore_errors=True)
        return stored

    def read(self, task_id: str) -> StoredRequest:
        """Raises OutboxError where the folder is gone or makes no sense."""
        path = self.folder / task_id / REQUEST
        with _disk_errors(path):
            try:
                return from_json(json.loads(path.read_bytes()))
            except (FileNotFoundError, NotADirectoryError):
                raise OutboxError("What was to be sent is no longer on the disk.") from None
            except (ValueError, TypeError, KeyError, AttributeError, BadInput):
                raise OutboxError(Text("The request at {path} is damaged.", path=str(path)), Action.DISCARD) from None

    def ids(self) -> list[str]:
        """The ids of all submissions that lie here."""
        with _disk_errors(self.folder):
            if not self.folder.is_dir():
                return []
            found = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
            return sorted(path.name for path in found if not (path / FORGOTTEN).exists())

    def state(self, task_id: str) -> State:
        """What may be done with it. Raises OutboxError."""
        state, _ = self.state_and_attempt(task_id)
        # A sender holds its claim before it makes its marker, and until the list says what came of it.
        return State.SENDING if state in (State.UNSENT, State.ANSWERED) and self._is_locked(task_id) else state

    def _is_locked(self, task_id: str) -> bool:
        try:
            with locks.acquire(self.folder / task_id / LOCK):
                return False
        except locks.Locked:
            return True
        except OSError:
            # The lock's file cannot be made, by a sender neither: the folder is only read, or gone.
            return False

    def state_and_attempt(self, task_id: str) -> tuple[State, int]:
        """The state, and the number of the attempt that it follows from."""
        folder = self.folder / task_id
        with _disk_errors(folder):
            try:
                names = _names(folder)
            except (FileNotFoundError, NotADirectoryError):
                return State.GONE, 0
            number = _last(names)
            if FORGOTTEN in names:
                return State.GONE, number
            if number == 0 or f"{number}.unsent" in names:
                return State.UNSENT if REQUEST in names else State.GONE, number
            if f"{number}.answer" in names:
                return State.ANSWERED, number
            try:
                # The lock of a living sender is held, and ends with its process.
                with locks.acquire(folder / LOCK):
                    return _state_after_sender(folder, number), number
            except locks.Locked:
                return State.SENDING, number

    def last_attempt(self, task_id: str) -> Attempt:
        """Raises OutboxError."""
        folder = self.folder / task_id
        with _disk_errors(folder):
            number = _last(_names(folder))
            try:
                said = json.loads((folder / f"{number}.sent").read_bytes())
                balance = said["balance"]
                return Attempt(number, float(said["at"]), None if balance is None else float(balance))
            except (ValueError, TypeError, KeyError, FileNotFoundError):
                # There was no attempt, or a killed program left its marker empty.
                return Attempt(number)

    def answer(self, task_id: str) -> RawAnswer:
        """The answer to the last attempt, as it came. Raises OutboxError."""
        folder = self.folder / task_id
        with _disk_errors(folder):
            path = folder / f"{_last(_names(folder))}.answer"
            found = _answer_in(path)
            if found is None:
                raise OutboxError(Text("The answer at {path} is damaged.", path=str(path)))
            return found

    @contextmanager
    def claim(self, task_id: str) -> Iterator[Claim]:
        """Be the only one who may send it, until the block ends, or with the process at the latest.

        To all others it is being sent meanwhile. Raises NotSendable where somebody else is at it or its request is
        gone, OutboxError.
        """
        folder = self.folder / task_id
        if not (folder / REQUEST).exists():
            raise NotSendable("Its request is no longer on the disk.")
        with _held(folder, NotSendable("It is being sent.")):
            yield Claim(self, task_id)

    def last_sending(self, task_id: str) -> Sending:
        """The last attempt, for one who has found out what came of it. Raises OutboxError."""
        folder = self.folder / task_id
        with _disk_errors(folder):
            return Sending(folder, max(_last(_names(folder)), 1))

    def picture_paths(self, task_id: str, names: tuple[str, ...]) -> list[Path]:
        """Where the pictures of a submission lie. Does not look at the disk."""
        return [self.folder / task_id / name for name in names]

    def forget(self, task: Task, remove: Callable[[str, Status | None], bool]) -> bool:
        """Have a task's submission be none, and take the task off the list by `remove`; `restore` brings it back.

        `remove` gets the id and, for a task without a key, the status in which alone it is to be removed. Returns what
        that returns. Raises OutboxError, also while it is being sent, and what `remove` raises; all is as it was then.
        """
        with self._renamed(task, REQUEST, FORGOTTEN):
            return remove(task.task_id, None if task.status.submitted else task.status)

    def restore(self, task: Task, add: Callable[[], Task]) -> Task:
        """Undo `forget`, where it was not cleaned since, and have the task be in the list by `add`.

        Returns what that returns. Raises OutboxError, and what `add` raises; all is as it was then.
        """
        with self._renamed(task, FORGOTTEN, REQUEST):
            return add()

    @contextmanager
    def _renamed(self, task: Task, old: str, new: str) -> Iterator[None]:
        """Keep others from a task's submission and give a file of it another name: the old one if the block fails.

        The outbox is changed before the list: what has left the list, and not the outbox, others put into the list.
        """
        folder, renamed = self.folder / task.task_id, False
        with ExitStack() as stack:
            with _disk_errors(folder):
                there = bool(task.kind) and folder.is_dir()
            if there:
                stack.enter_context(_held(folder, OutboxError("It is being sent just now: wait for the answer.")))
            try:
                with _disk_errors(folder):
                    # The folder keeps its name: a sender on a computer that sees no lock finds it for the answer.
                    if there and (folder / old).exists():
                        (folder / old).touch()  # Its time tells from when on what is forgotten is kept.
                        (folder / old).replace(folder / new)
                        renamed = True
                        private_files.sync_folder(folder)
                    elif there and new == FORGOTTEN:
                        (folder / new).touch()
                yield
            except BaseException:
                if renamed:
                    with suppress(OSError):
                        (folder / new).replace(folder / old)
                raise

    def clean(self) -> None:
        """Remove what was forgotten long ago, and what a killed program was still copying an hour ago."""
        with suppress(OSError):
            for path in [*self.folder.iterdir()]:
                with suppress(OSError):
                    old = path.name.startswith(_NEW) and path.stat().st_mtime < time.time() - 3600.0
                    if old or path.name.startswith(_REMOVED):
                        shutil.rmtree(path, ignore_errors=True)
                    elif (path / FORGOTTEN).stat().st_mtime < time.time() - FORGOTTEN_LASTS:
                        # Where this is broken off, what is left of it is not taken for a submission.
                        gone = path.rename(self.folder / f"{_REMOVED}{path.name}-{secrets.token_hex(4)}")
                        shutil.rmtree(gone, ignore_errors=True)


class Claim:
    """The right to send a submission: nobody else sends it now. See `Outbox.claim`."""

    def __init__(self, outbox: Outbox, task_id: str) -> None:
        self.task_id = task_id
        self._outbox = outbox

    @contextmanager
    def sending(self, ask_balance: Callable[[], float | None]) -> Iterator[Sending]:
        """Send it once, now. The balance is asked for and noted first, to be compared with later.

        Raises NotSendable where it may not be sent, OutboxError, and what `ask_balance` raises; nothing is marked then.
        """
        folder = self._outbox.folder / self.task_id
        # Without locks another computer may be at it, too: the marker of the attempt after the one that was looked at
        # here is the first's to make.
        state, last = self._outbox.state_and_attempt(self.task_id)
        if state is not State.UNSENT:
            raise NotSendable("It was sent already.")
        number, balance = last + 1, ask_balance()
        with _disk_errors(folder):
            private_files.write_synced(folder / f"{number}.answer.part", bytes(RESERVED))
        _create_marker(folder / f"{number}.sent", {"at": time.time(), "balance": balance})
        yield Sending(folder, number, balance)


class Sending:
    """An attempt under way: one of the two methods tells what came of it, on the disk when it returns.

    Where neither is called, nobody knows whether the service took it. Both raise OutboxError.
    """

    def __init__(self, folder: Path, number: int, balance: float | None = None) -> None:
        """`balance` are the account's credits just before it, None where they are not known."""
        self.balance = balance
        self._folder = folder
        self._number = number

    def answered(self, answer: RawAnswer) -> None:
        head = {"http_status": answer.http_status, "retry_after": answer.retry_after, "size": len(answer.body)}
        part = self._folder / f"{self._number}.answer.part"
        content = json.dumps(head).encode() + b"\n" + answer.body
        with _disk_errors(self._folder):
            # The answer overwrites the space that was reserved for it, if there is one.
            with part.open("r+b" if part.exists() else "wb") as file:
                file.write(content)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._folder / f"{self._number}.answer")
            private_files.sync_folder(self._folder)

    def unsent(self) -> None:
        """The service surely did not take it, so another attempt may send it. Its refusal may be noted already."""
        refused = self._folder / f"{self._number}.answer"
        # The room that was kept for an answer serves for this note, too, on a full disk.
        room = self._folder / f"{self._number}.answer.part"
        with _disk_errors(self._folder):
            if not refused.exists() and not room.exists():
                room.touch()
            (refused if refused.exists() else room).replace(self._folder / f"{self._number}.unsent")
            private_files.sync_folder(self._folder)


def _create_marker(path: Path, said: dict[str, object]) -> None:
    """Make the marker of an attempt, which only one can. Raises NotSendable, OutboxError."""
    with _disk_errors(path.parent):
        try:
            private_files.write_synced(path, json.dumps(said).encode(), exclusive=True)
        except FileExistsError:
            raise NotSendable("It is being sent.") from None
        except OSError:
            # Nothing was sent with this marker, so it is no attempt.
            with suppress(OSError):
                path.unlink()
            raise
    private_files.sync_folder(path.parent)


def _names(folder: Path) -> set[str]:
    """Raises OSError where they cannot be read: a pattern's matches would be none then, as of what was never sent."""
    return {path.name for path in folder.iterdir()}


def _last(names: set[str]) -> int:
    """The number of the last attempt, by whatever is left of it in a folder with these files; 0 for none."""
    found = (name.partition(".") for name in names)
    numbers = (number for number, _, kind in found if kind in ("sent", "answer", "unsent"))
    return max((int(number) for number in numbers if number.isascii() and number.isdecimal()), default=0)


def _state_after_sender(folder: Path, number: int) -> State:
    """What an attempt has come to whose sender has ended, for one who holds the lock."""
    part, answer = folder / f"{number}.answer.part", folder / f"{number}.answer"
    if (folder / f"{number}.unsent").exists():
        return State.UNSENT
    # It may have been killed when all of the answer was written, and only its name was not.
    if not answer.exists() and part.exists() and _answer_in(part):
        part.replace(answer)
        private_files.sync_folder(folder)
    return State.ANSWERED if answer.exists() else State.UNCERTAIN


def _answer_in(path: Path) -> RawAnswer | None:
    """The answer in a file; None where it is not whole. Raises OSError."""
    head, _, body = path.read_bytes().partition(b"\n")
    try:
        said = json.loads(head)
        size, wait = int(said["size"]), said["retry_after"]
        whole = 0 <= size <= len(body) and (wait is None or isinstance(wait, str))
        return RawAnswer(int(said["http_status"]), wait, body[:size]) if whole else None
    except (ValueError, TypeError, KeyError):
        return None


@contextmanager
def _held(folder: Path, if_locked: RodinError) -> Iterator[None]:
    """Keep all others from the submission in a folder. Raises `if_locked` where another one does so, OutboxError."""
    with ExitStack() as stack:
        try:
            with _disk_errors(folder):
                stack.enter_context(locks.acquire(folder / LOCK, LOCK_TIMEOUT))
        except locks.Locked:
            raise if_locked from None
        yield


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        text = "What is to be sent cannot be kept in {folder}: {reason}."
        raise OutboxError(Text(text, folder=str(folder), reason=os_reason(error))) from None
