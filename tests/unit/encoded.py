# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures as bytes, whole enough for the checks of the service: a header of any size, and filling."""

from __future__ import annotations

import zlib


def png(width: int = 1024, height: int = 1024, size: int = 0) -> bytes:
    """A PNG picture whose filling is a comment, as long as to make `size` bytes in all."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    row = b"\0" + b"\x80\x60\x40" * width
    parts = [_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(row * height, 1)), _chunk(b"IEND", b"")]
    filling = size - 8 - sum(map(len, parts)) - 12
    if filling >= 0:
        parts.insert(1, _chunk(b"teXt", bytes(filling)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def jpeg(width: int = 1024, height: int = 1024, before: int = 20, frame: int = 0xC0) -> bytes:
    """The head of a JPEG file with `before` bytes of other segments before the frame's header."""
    segments = b""
    while before > 0:
        length = min(max(before, 4), 65_537)
        segments += b"\xff\xe1" + (length - 2).to_bytes(2, "big") + bytes(length - 4)
        before -= length
    sizes = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return b"\xff\xd8" + segments + b"\xff" + bytes([frame]) + b"\x00\x11\x08" + sizes + b"\x03" + bytes(20)


def webp(width: int = 1024, height: int = 1024, kind: bytes = b"VP8X") -> bytes:
    if kind == b"VP8 ":
        content = b"\x30\x01\x00\x9d\x01\x2a" + width.to_bytes(2, "little") + height.to_bytes(2, "little")
    elif kind == b"VP8L":
        content = b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little")
    else:
        content = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    content += bytes(20)
    chunk = kind + len(content).to_bytes(4, "little") + content
    return b"RIFF" + (len(chunk) + 4).to_bytes(4, "little") + b"WEBP" + chunk
