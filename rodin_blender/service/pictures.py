# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the service takes a picture: its format and its size in pixels, read from the file's header alone.

The limits are those that all sources agree on. Nothing is decoded, so a picture may still be damaged further on.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

from ..texts.text import Text
from .errors import BadInput
from .keys import printable

LARGEST_PICTURE = 16_000_000
"""Bytes."""
MIN_PIXELS, MAX_PIXELS = 512, 4096
"""Of each side."""
HEAD = 64 * 1024
"""Bytes that are enough for most pictures."""
_MAX_SEGMENTS = 10_000
"""Of a JPEG file. Those of photographs have some dozens before the picture."""

_OTHER_KINDS = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "HDR",
    b"8BPS": "Photoshop",
    b"%PDF": "PDF",
    b"BLENDER": "Blender",
    b"<svg": "SVG",
}

Bytes = Callable[[int, int], bytes]
"""Some bytes of a file: from the first number on, as many as the second says, fewer at the end."""


def check_picture(name: str, content: bytes | BinaryIO, size: int) -> str:
    """The content type of a picture of `size` bytes that the service will take: image/png, image/jpeg or image/webp.

    `content` is the open file, of which a few bytes are read, or its first `HEAD` bytes. Those are not enough for a
    JPEG with more than that of Exif, color profile or depth map before the picture: give the file.
    Raises BadInput with what to change, and OSError where the file cannot be read.
    """
    name = repr(printable(name, 60))
    file = io.BytesIO(content) if isinstance(content, bytes) else content

    def read(start: int, count: int) -> bytes:
        file.seek(start)
        return file.read(count)

    if size <= 0:
        raise BadInput(Text("{name} is empty. Choose another picture, or save it again.", name=name))
    found = _measured(read, size)
    if found is None:
        kind_of = _kind(read(0, 16))
        raise BadInput(Text("{name} is {kind}. Choose a PNG, JPEG or WebP picture.", name=name, kind=kind_of))
    kind, width, height = found
    if not width or not height:
        text = "{name} is damaged or cut short: its size in pixels is missing. Save or copy it again."
        raise BadInput(Text(text, name=name))
    if size > LARGEST_PICTURE:
        text = "{name} has {size:size}, and the service takes {most} MB at most. Save it smaller, or as JPEG."
        raise BadInput(Text(text, name=name, size=size, most=LARGEST_PICTURE // 1_000_000))
    if min(width, height) < MIN_PIXELS or max(width, height) > MAX_PIXELS:
        wrong = Text("too small") if min(width, height) < MIN_PIXELS else Text("too large")
        raise BadInput(
            Text(
                "{name} is {wrong}: it has {width} x {height} pixels, and each side must have {least} to {most}. "
                "Scale it, or choose another picture.",
                name=name,
                wrong=wrong,
                width=width,
                height=height,
                least=MIN_PIXELS,
                most=MAX_PIXELS,
            )
        )
    return kind


def _measured(read: Bytes, size: int) -> tuple[str, int, int] | None:
    """Content type, width and height; 0 where the header ends too soon or makes no sense, None for another kind."""
    head = read(0, 30)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ("image/png", *_png(head))
    if head.startswith(b"\xff\xd8\xff"):
        return ("image/jpeg", *_jpeg(read))
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ("image/webp", *_webp(head, size))
    return None


def _png(head: bytes) -> tuple[int, int]:
    if head[12:16] != b"IHDR" or len(head) < 24:
        return 0, 0
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def _jpeg(read: Bytes) -> tuple[int, int]:
    """From the frame's header, to which the lengths of the segments before it lead."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        segment = read(at, 9)
        if len(segment) < 9 or segment[0] != 0xFF:
            return 0, 0
        marker = segment[1]
        if marker == 0xFF:
            # Any number of these may stand before a marker.
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:
            # These have no length.
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(segment[7:9], "big"), int.from_bytes(segment[5:7], "big")
        elif marker in (0xD8, 0xD9, 0xDA):
            # The picture begins or ends without having told its size.
            return 0, 0
        else:
            at += 2 + max(int.from_bytes(segment[2:4], "big"), 2)
    return 0, 0


def _webp(head: bytes, size: int) -> tuple[int, int]:
    """From the first chunk: lossy, lossless, or extended (transparency, animation, color profile)."""
    if len(head) < 30 or int.from_bytes(head[4:8], "little") + 8 > size:
        return 0, 0
    chunk = head[12:16]
    if chunk == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    if chunk == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    return 0, 0


def _kind(head: bytes) -> Text:
    for beginning, kind in _OTHER_KINDS.items():
        if head.startswith(beginning):
            return Text("a file of the kind {kind}", kind=kind)
    if head[4:8] == b"ftyp":
        brands = {b"heic": Text("a HEIC file"), b"avif": Text("an AVIF file")}
        return brands.get(head[8:12], Text("a film or a kind of picture unknown here"))
    return Text("no picture that is known here")
