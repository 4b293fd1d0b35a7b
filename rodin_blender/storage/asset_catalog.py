# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog "Rodin" of Blender's asset browser, noted in an asset library's own list of catalogs.

The list is a text file beside the library's .blend files; Blender reads it and writes it when the user edits
catalogs. A line is `UUID:path:simple name`, `#` begins a comment, and the first line tells the version.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

CATALOG_ID = "8f0c1d52-6f0e-4a3b-9d56-2b7a4c9e1f30"
_FILE = "blender_assets.cats.txt"
_NEW = "# This is an Asset Catalog Definition file for Blender.\n\nVERSION 1\n\n"


def add(library: Path) -> None:
    """Add the catalog to the list in the folder `library` unless it is there; what else stands there stays as it is.

    Raises OSError.
    """
    # A studio's list may be a link to one that several libraries share.
    path = (library / _FILE).resolve()
    there = (path.read_bytes() if path.exists() else b"") or _NEW.encode()
    if CATALOG_ID.encode() in there:
        return
    line = f"{CATALOG_ID}:Rodin:Rodin\n".encode()
    # The new file has a name of its own, since other programs may be writing, too.
    new = path.with_name(f".{_FILE}.rodin-{secrets.token_hex(4)}")
    try:
        with new.open("wb") as file:
            file.write(there if there.endswith(b"\n") else there + b"\n")
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            new.chmod(path.stat().st_mode)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
