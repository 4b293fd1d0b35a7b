# SPDX-License-Identifier: GPL-3.0-or-later
"""A model's textures: packed into the .blend file, and saved as files beside it where the settings ask for that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import bpy

from ...service.errors import os_reason
from ...service.files import safe_name
from ...texts.text import Text

FOLDER = "textures"
_BEGINNINGS = {
    b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp", b"\x76\x2f\x31\x01": ".exr", b"#?": ".hdr"
}  # fmt: skip


@dataclass(frozen=True)
class Packed:
    """An image's file as it is packed. `number` is its session uid, by which it is found again."""

    number: int
    name: str
    content: bytes


def pack(images: Iterable[bpy.types.Image]) -> list[str]:
    """Keep textures in the .blend file, as the downloaded files may be deleted. Returns those that are not there."""
    missing = []
    for image in images:
        if image.source == "FILE" and not image.packed_file:
            try:
                image.pack()
            except RuntimeError:
                missing.append(PurePath(image.filepath).name or image.name)
    return sorted(missing)


def packed(images: Iterable[bpy.types.Image]) -> list[Packed]:
    """What `save` is to write, taken on the main thread."""
    # Blender's number is cut off, so that a model that is imported once more has the same file names.
    return [
        Packed(
            image.session_uid,
            re.sub(r"\.\d{3}$", "", image.name) + _ending(image.packed_file.data),
            bytes(image.packed_file.data),
        )
        for image in images
        if image.source == "FILE" and len(image.packed_files) == 1
    ]


def _ending(content: bytes) -> str:
    return next((ending for beginning, ending in _BEGINNINGS.items() if content.startswith(beginning)), ".img")


def save(folder: Path, found: Sequence[Packed]) -> tuple[dict[int, Path], Text | None]:
    """Write textures into a folder, in whatever thread. No file is overwritten; one with the same content serves.

    Returns the files by the images' numbers, and why some are not there, None where all are.
    """
    saved = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for item in found:
            saved[item.number] = _written(folder, item)
    except OSError as error:
        text = "The textures could not be saved in {folder}: {reason}. They are packed into the file."
        return saved, Text(text, folder=str(folder), reason=os_reason(error))
    return saved, None


def _written(folder: Path, item: Packed) -> Path:
    taken: list[str] = []
    while True:
        path = folder / safe_name(item.name, taken)
        try:
            with path.open("xb") as file:
                file.write(item.content)
        except FileExistsError:
            if path.is_file() and path.stat().st_size == len(item.content) and path.read_bytes() == item.content:
                return path
            taken.append(path.name)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        else:
            return path


def refer(saved: Mapping[int, Path], blend: Path) -> None:
    """Have images be the files that were written, as they lie from the .blend file, and no longer packed."""
    for image in bpy.data.images:
        path = saved.get(image.session_uid)
        if path and image.packed_file:
            image.filepath = bpy.path.relpath(str(path), start=str(blend.parent))
            image.unpack(method="REMOVE")
