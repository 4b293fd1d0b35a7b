# SPDX-License-Identifier: GPL-3.0-or-later
"""PNG files that are whole, and as large as is wished."""

from __future__ import annotations

import zlib
from pathlib import Path


def png(width: int = 1024, height: int = 1024, size: int = 0, comment: bytes = b"") -> bytes:
    """A PNG picture whose filling is a comment, as long as to make `size` bytes in all."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    row = b"\0" + b"\x80\x60\x40" * width
    parts = [_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(row * height, 1)), _chunk(b"IEND", b"")]
    if comment:
        parts.insert(1, _chunk(b"teXt", comment))
    filling = size - 8 - sum(map(len, parts)) - 12
    if filling >= 0:
        parts.insert(1, _chunk(b"teXt", bytes(filling)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def png_file(path: Path, side: int = 600, seed: int = 1) -> Path:
    """A square PNG file, another one for each seed."""
    path.write_bytes(png(side, side, comment=f"seed {seed}".encode()))
    return path


def large_file(path: Path, size: int, seed: int = 1) -> Path:
    """A PNG file of `size` bytes, another one for each seed."""
    path.write_bytes(png(600, 600, size, comment=f"seed {seed}".encode()))
    return path
