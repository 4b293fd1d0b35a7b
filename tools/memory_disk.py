"""Where files lie that are written often and for a while, so that nobody waits for a disk's pace.

Standard library only: the lanes begin with it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

_FOLDER = Path("/dev/shm")


def memory_disk(room: int = 0) -> str | None:
    """A folder in memory with at least so many free bytes, which a Debian root sees, too; None where there is none."""
    return str(_FOLDER) if _FOLDER.is_dir() and shutil.disk_usage(_FOLDER).free >= room else None
