# SPDX-License-Identifier: GPL-3.0-or-later
"""Pixels as PNG files, made in a thread, in the folder that Blender deletes when it ends: what is sent is a copy."""

from __future__ import annotations

import secrets
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from ...service.errors import BadInput, os_reason
from ...texts.text import Text
from ..app import app

if TYPE_CHECKING:
    import numpy


def new_path(name: str, ending: str) -> Path:
    """A new file in a folder of its own, so that the file has no more in its name than the user knows it by."""
    plain = "".join(character if character.isalnum() or character in " -_" else "_" for character in name)
    return Path(bpy.app.tempdir) / f"rodin-{secrets.token_hex(4)}" / f"{plain[:60].strip() or 'picture'}{ending}"


def write(pictures: Mapping[Path, Callable[[], bytes]], what: Text, then: Callable[[list[str]], object]) -> None:
    """Write what the functions return to these files, in a thread, and hand the paths to `then` on the main thread.

    Where one of them fails nothing is handed over, and the session tells why; `what` names the pictures in that.
    """

    def work() -> Text | None:
        try:
            for path, content in pictures.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content())
        except BadInput as error:
            return Text("{what} was not added. {why}", what=what, why=error.trouble)
        except (OSError, MemoryError) as error:
            reason = os_reason(error) if isinstance(error, OSError) else Text("there is not enough memory")
            text = "{what} was not added: it could not be written to {folder}: {reason}."
            return Text(text, what=what, folder=folder, reason=reason)
        return None

    def done(trouble: Text | None) -> None:
        if trouble:
            app().session.tell(trouble)
        else:
            then([str(path) for path in pictures])

    folder = bpy.app.tempdir
    app().wake()
    app().threads.run(work, done)


def png(rows: numpy.ndarray) -> bytes:
    """A PNG of bytes (height, width, channels), the uppermost row first; 1, 3 or 4 channels. For a thread."""
    import numpy

    height, width, channels = rows.shape
    bytes_ = rows.reshape(height, width * channels)
    # Each row is stored as the difference to the row above (PNG's filter 2), which compresses better.
    filtered = numpy.empty((height, width * channels + 1), dtype=numpy.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = bytes_[0]
    filtered[1:, 1:] = bytes_[1:] - bytes_[:-1]
    kind = {1: 0, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in parts
    )
