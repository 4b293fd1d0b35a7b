# SPDX-License-Identifier: GPL-3.0-or-later
"""A studio's functions, see `handlers`: a thread runs the file with them; none is called before that has ended."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import bpy

from .. import handlers
from ..service.errors import BadInput
from ..tasks.task import Task
from .state.session import Session
from .threads import Threads


class Hooks:
    def __init__(self, threads: Threads, session: Session) -> None:
        self._threads = threads
        self._session = session
        self._started = False
        self.pending = True
        """Whether the file that RODIN_HOOKS names is still to be read and run."""

    def follow(self) -> None:
        """Have the file read, once, and run by the timer when it is there: it may use `bpy`."""
        if self._started:
            return
        self._started = True
        path = handlers.unread()
        self.pending = bool(path)
        if path:
            self._threads.run(partial(_read, path), self._run, only_reads=True)

    def call(self, functions: list[Callable[..., None]], task: Task, collection: int | None = None) -> None:
        """Call one of the lists, and tell of those that raised; by the timer where the file is still being read.

        The collection is given by its `session_uid`, since undo and opening another file take away what Python holds.
        Where it is gone by now, there is nothing to tell.
        """
        if self.pending:
            self._session.pending_calls.append((functions, task, collection))
            return
        found = () if collection is None else (_collection(collection),)
        if None not in found:
            for trouble in handlers.call(functions, task, *found):
                self._session.tell(trouble)

    def _run(self, found: Callable[[], None] | BadInput) -> None:
        self.pending = False
        try:
            if isinstance(found, BadInput):
                raise found
            found()
        except BadInput as error:
            self._session.tell(error.trouble)


def _collection(uid: int) -> bpy.types.Collection | None:
    """The collection of this `session_uid`; each scene has one of its own, which is not among the file's."""
    known = (*bpy.data.collections, *(scene.collection for scene in bpy.data.scenes))
    return next((collection for collection in known if collection.session_uid == uid), None)


def _read(path: str) -> Callable[[], None] | BadInput:
    try:
        return handlers.read(path)
    except BadInput as error:
        return error
