"""Pictures that the service takes, and larger ones, made without decoding anything."""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path

from PIL import Image


def png(path: Path, side: int = 600, seed: int = 1) -> Path:
    """A PNG file of `side` by `side` pixels, another one for each seed."""
    image = Image.new("RGB", (side, side), (seed * 40 % 256, seed * 70 % 256, seed * 110 % 256))
    content = io.BytesIO()
    image.save(content, "PNG")
    path.write_bytes(content.getvalue())
    return path


def large_png(path: Path, size: int, side: int = 600, seed: int = 1) -> Path:
    """A PNG file of about `size` bytes: the rest of them stand in a chunk that no reader looks into."""
    whole = png(path, side, seed).read_bytes()
    filler = random.Random(seed).randbytes(max(size - len(whole) - 12, 0))
    chunk = struct.pack(">I", len(filler)) + b"fiLl" + filler + struct.pack(">I", zlib.crc32(b"fiLl" + filler))
    # Before the end chunk, which is 12 bytes long.
    path.write_bytes(whole[:-12] + chunk + whole[-12:])
    return path
