# SPDX-License-Identifier: GPL-3.0-or-later
"""The studio's files of settings, see `configuration.studio`, as they were last read."""

from __future__ import annotations

from functools import partial

from ... import configuration
from ...configuration import Setting
from ...service.errors import BadInput
from ...texts.text import Text
from ..state.session import Session
from ..threads import Threads

_PENDING = Text("The studio's settings are being read.")


class StudioFiles:
    def __init__(self, threads: Threads, session: Session) -> None:
        self._threads = threads
        self._session = session
        self._name: str | None = None
        """The file that RODIN_CONFIG named last."""
        self.values: dict[str, Setting] = {}
        """What they fix."""
        self.pending = True
        """Whether they are still to be read."""
        self.trouble: Text | None = _PENDING
        """Why nothing is known of them; None when all is well."""

    def follow(self) -> None:
        """Have them read, in a thread, at first and when RODIN_CONFIG names another one."""
        named = configuration.named_file()
        if named != self._name:
            self._name, self.values = named, {}
            self.pending, self.trouble = True, _PENDING
            self._threads.run(partial(_read, named), partial(self._on_read, named), only_reads=True)

    def read_now(self) -> None:
        """The same at once: for the command line, which may wait. Raises BadInput."""
        self._name = configuration.named_file()
        self._on_read(self._name, configuration.read_files(self._name))

    def _on_read(self, named: str, found: dict[str, Setting] | BadInput) -> None:
        if named == self._name:
            self._session.needs_redraw = True
            self.pending = False
            self.trouble = found.trouble.text if isinstance(found, BadInput) else None
            self.values = {} if isinstance(found, BadInput) else found


def _read(named: str) -> dict[str, Setting] | BadInput:
    try:
        return configuration.read_files(named)
    except BadInput as error:
        return error
