# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes onto a disk: as much as it takes, or a file that says it is whole."""

from __future__ import annotations

import struct
from pathlib import Path


def fill(disk: Path) -> Path:
    """Leave no room on a disk. Returns the file that takes it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass
    return filler


def glb(size: int, fill: bytes = b"g") -> bytes:
    """A model by its head, which states its size."""
    return struct.pack("<4sII", b"glTF", 2, size) + fill * (size - 12)
