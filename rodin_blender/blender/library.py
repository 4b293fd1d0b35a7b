# SPDX-License-Identifier: GPL-3.0-or-later
"""Models on their way into the asset library, each by a Blender of its own, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import bpy

from ..service.errors import BadInput
from ..storage import library
from ..storage.disk import write_reason
from ..texts.text import Text
from .state.session import Session
from .threads import Threads

Command = Callable[[Path], list[str]]
"""Tells of the path of a .blend file what program writes it."""


class Library:
    def __init__(self, threads: Threads, session: Session) -> None:
        self._threads = threads
        self._session = session
        self.pending: dict[str, tuple[Path, str, Command]] = {}
        """The library's folder, the file's name and the command, by task id; the first one is under way."""
        self._stopped = threading.Event()
        """Set when nobody wants the one that is under way any more."""

    def send(self, task_id: str, folder: Path, name: str, command: Command) -> None:
        """Have a file written into the library; what comes of it is told as news of the task. Returns at once."""
        self._session.files.troubles.pop(task_id, None)
        self._session.needs_redraw = True
        self.pending[task_id] = folder, name, command
        if len(self.pending) == 1:
            self._begin()

    def cancel(self, task_id: str) -> None:
        if task_id == next(iter(self.pending), ""):
            self._stopped.set()
        else:
            self.pending.pop(task_id, None)
        self._session.needs_redraw = True

    def end(self) -> None:
        """End what is under way, without waiting for that, and begin nothing more."""
        self._stopped.set()

    def _begin(self) -> None:
        task_id = next(iter(self.pending), "")
        if task_id:
            self._stopped = threading.Event()
            work = partial(_write, *self.pending[task_id], self._stopped.is_set)
            self._threads.run(work, partial(self._ended, task_id))

    def _ended(self, task_id: str, told: tuple[Text | None, bool]) -> None:
        said, trouble = told
        folder, *_ = self.pending.pop(task_id)
        if said and not trouble and not is_registered(folder):
            said = Text("{said} Register Library, in the menu beside Import, has the asset browser show it.", said=said)
        self._session.files.tell(task_id, said, trouble=trouble)
        self._session.needs_redraw = True
        self._begin()


def _write(folder: Path, name: str, command: Command, stopped: Callable[[], bool]) -> tuple[Text | None, bool]:
    """What is to be told of it, and whether that is a trouble."""
    try:
        path = library.write(folder, name, command, stopped)
    except BadInput as error:
        return Text("It was not written to the library: {why}", why=error.trouble), True
    except OSError as error:
        at = Path(error.filename or folder)
        text = "It was not written to the library: {path}: {reason}. Set another library folder in the preferences."
        return Text(text, path=str(at), reason=write_reason(error, at)), True
    return (Text("It is in the library as '{file}'.", file=path.name) if path else None), False


def is_registered(folder: Path) -> bool:
    """Whether the folder is one of the asset libraries in Blender's preferences."""
    libraries = bpy.context.preferences.filepaths.asset_libraries
    return any(Path(bpy.path.abspath(known.path)) == folder for known in libraries)
