# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that are whole enough for the service's checks, made of a header and filling."""

from __future__ import annotations

from tools.testing.pictures import large_file, png, png_file

__all__ = ["jpeg", "large_file", "png", "png_file", "webp"]


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
