# SPDX-License-Identifier: GPL-3.0-or-later
"""What disks and systems do to a program that writes: refusals that pass, and refusals under a wrong name."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from pathlib import Path

from ..service.errors import os_reason
from ..texts.text import Text

RETRY_FOR = 5.0
"""Seconds for which a refused rename is tried again."""
_PAUSE = 0.2
_REFUSALS = (errno.EACCES, errno.EPERM, errno.EBUSY, errno.ETXTBSY)

CONTROLLED = Text(
    "its folder is there, but the system says that it is not found. On Windows this is how Controlled folder access "
    "keeps a program from writing: allow Blender in Windows Security > Virus & threat protection > Ransomware "
    "protection"
)


def replace_file(part: Path, path: Path, pause: Callable[[float], None] = time.sleep) -> None:
    """Give a whole file its final name, in a folder that is made if need be; what has that name is replaced.

    On Windows a virus scanner that reads a new file keeps it from being renamed for a moment, and so does a file server
    to its clients. Raises OSError where that lasts, and what `pause` raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + RETRY_FOR
    while True:
        try:
            part.replace(path)
            return
        except OSError as error:
            if error.errno not in _REFUSALS or time.monotonic() > until:
                raise
        pause(_PAUSE)


def is_controlled(error: OSError, path: Path) -> bool:
    """Whether an error in making `path` looks like Windows' Controlled folder access."""
    try:
        # A rename, whose error names two files, fails like this where a file has gone.
        return isinstance(error, FileNotFoundError) and error.filename2 is None and path.parent.is_dir()
    except OSError:
        return False


def write_reason(error: OSError, path: Path) -> Text:
    """What the system says of a file or folder that could not be made or written, and what may be behind it."""
    return CONTROLLED if is_controlled(error, path) else Text("{reason}", reason=os_reason(error))
