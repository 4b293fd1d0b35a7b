# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the log goes: the settings `log_…`, applied to the logger of the whole extension.

What goes wrong in the extension itself is told on standard error, too. A studio's own handlers, on this logger or the
root's, get all records whatever is set here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..service.errors import BadInput
from ..storage.log_file import LogFile
from . import path_of
from .studio import Setting

LOGGER = logging.getLogger(__name__.removesuffix(".configuration.logs"))


@dataclass(frozen=True)
class LogSettings:
    file: Path | None = None
    level: str = "INFO"
    as_json: bool = False


def log_settings(resolve: Callable[[str], Setting], blend_folder: Path | None = None) -> LogSettings:
    """Raises BadInput."""
    level = str(resolve("log_level").value)
    return LogSettings(path_of(resolve("log_file"), blend_folder), level, bool(resolve("log_json").value))


class Logging:
    """What of the log is set up, from `configure` to `end`."""

    def __init__(self) -> None:
        self._settings: LogSettings | None = None
        self._handlers: list[logging.Handler] = []
        self.trouble = ""
        """Why there is no log file although the settings ask for one."""

    def configure(self, resolve: Callable[[str], Setting], blend_folder: Path | None = None) -> None:
        """Have the log as the settings say. Does nothing where it is so; touches no disk."""
        try:
            wanted, self.trouble = log_settings(resolve, blend_folder), ""
        except BadInput as error:
            wanted, self.trouble = LogSettings(), str(error)
        if wanted == self._settings:
            return
        self.end()
        self._settings = wanted
        errors = logging.StreamHandler()
        errors.setLevel(logging.ERROR)
        errors.setFormatter(logging.Formatter("Rodin: %(message)s"))
        self._handlers = [errors]
        if wanted.file:
            self._handlers.append(LogFile(wanted.file, as_json=wanted.as_json))
        for handler in self._handlers:
            LOGGER.addHandler(handler)
        LOGGER.setLevel(wanted.level)

    def end(self) -> None:
        """Take all of it away. What waits to be written still is."""
        for handler in self._handlers:
            LOGGER.removeHandler(handler)
        self._handlers, self._settings = [], None
        LOGGER.setLevel(logging.NOTSET)
