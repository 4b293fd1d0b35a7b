# SPDX-License-Identifier: GPL-3.0-or-later
"""A studio's functions, see `handlers`: a thread reads its file, and nothing is called before that has been run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .. import handlers
from ..service.errors import BadInput
from .session import Session
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
        path = handlers.named()
        self.pending = bool(path)
        if path:
            self._threads.run(partial(_read, path), self._run)

    def call(self, functions: list[Callable[..., None]], *arguments: object) -> None:
        """Call one of the lists, and tell of those that raised; by the timer where the file is still being read."""
        if self.pending:
            self._session.pending_calls.append((functions, *arguments))
            return
        for trouble in handlers.call(functions, *arguments):
            self._session.tell(trouble)

    def _run(self, found: Callable[[], None] | BadInput) -> None:
        self.pending = False
        try:
            if isinstance(found, BadInput):
                raise found
            found()
        except BadInput as error:
            self._session.tell(error.trouble)


def _read(path: str) -> Callable[[], None] | BadInput:
    try:
        return handlers.read(path)
    except BadInput as error:
        return error
