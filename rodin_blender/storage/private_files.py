# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that only the user can read, on the disk when the writing returns."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Put a file of mode 0600 at `path`, in the place of what was there. It is on the disk when this returns.

    Makes the folder. Raises OSError, and then all is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The new file has a name of its own, since other Blenders may be writing, too.
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write_synced(new, content, exclusive=True)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_synced(path: Path, content: bytes, *, exclusive: bool = False) -> None:
    """Make a file of mode 0600, or write one anew. Its content is on the disk when this returns, its name may not be.

    With `exclusive`, raises FileExistsError where there is one. Raises OSError.
    """
    # Without O_BINARY Windows would write another line ending for each that a picture happens to hold.
    flags = os.O_CREAT | os.O_WRONLY | (os.O_EXCL if exclusive else os.O_TRUNC) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can do that: Windows and some file servers cannot."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
