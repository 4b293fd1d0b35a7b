# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model's file says of itself before anything imports it: a glTF's description, and how many triangles it has.

Sources: the glTF 2.0 specification, sections 3.7.2 (meshes) and 4.4 (the chunks of a GLB); the binary STL's header;
the binary FBX as Blender's own importer reads it (its nodes' offsets are 64 bits wide from version 7500 on).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..service.files import kind_of

Document = dict[str, Any]

_PIECE = 1 << 20
_FACE = b"\nf "


def read_gltf(path: Path) -> tuple[Document, int]:
    """The JSON of a glTF file, and the offset at which what follows it begins. Raises OSError, ValueError."""
    with path.open("rb") as file:
        if path.suffix.lower() == ".gltf":
            return _object(json.load(file)), 0
        header = file.read(20)
        if header[:4] != b"glTF" or header[16:20] != b"JSON":
            raise ValueError("not a GLB")
        length = int.from_bytes(header[12:16], "little")
        return _object(json.loads(file.read(length))), 20 + length


def _object(found: object) -> Document:
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def triangles(path: Path) -> int | None:
    """About how many triangles a model has; None where its file does not tell (.usd, a text .fbx), or is broken.

    The whole of an .obj and of a text .stl is read for it, so it is not for Blender's main thread.
    """
    try:
        match kind_of(path.name):
            case ".glb" | ".gltf":
                document, _offset = read_gltf(path)
                return sum(_of_primitive(document, part) for mesh in document["meshes"] for part in mesh["primitives"])
            case ".stl":
                return _of_stl(path)
            case ".fbx":
                return _of_fbx(path)
            case ".obj":
                return _of_obj(path)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error):
        return None
    return None


def _of_primitive(document: Document, primitive: Document) -> int:
    corners = document["accessors"][primitive.get("indices", primitive["attributes"]["POSITION"])]["count"]
    match primitive.get("mode", 4):
        case 4:
            return int(corners) // 3
        case 5 | 6:
            return max(int(corners) - 2, 0)
    return 0


def _of_stl(path: Path) -> int:
    with path.open("rb") as file:
        count = int.from_bytes(file.read(84)[80:], "little")
    # A binary one may begin with "solid", too; its size tells.
    if path.stat().st_size == 84 + 50 * count:
        return count
    return sum(text.count(b"endfacet") for text in _texts(path, len(b"endfacet") - 1))


def _of_obj(path: Path) -> int:
    """As if all faces had as many corners as those that were looked at have on average: the first of each megabyte."""
    faces = seen = corners = 0
    for text in _texts(path, len(_FACE) - 1):
        faces += text.count(_FACE)
        line, end, _rest = text[text.find(_FACE) + 1 :].partition(b"\n") if _FACE in text else (b"", b"", b"")
        if end:
            seen += 1
            corners += len(line.split()) - 1
    return round(faces * max(corners / seen - 2, 0)) if seen else 0


def _of_fbx(path: Path) -> int | None:
    """As if all faces were triangles: those that have more corners are made of more."""
    with path.open("rb") as file:
        head = file.read(27)
        if not head.startswith(b"Kaydara FBX Binary"):
            return None
        wide = int.from_bytes(head[23:], "little") >= 7500
        corners, end = 0, path.stat().st_size
        for objects in _fbx_nodes(file, b"Objects", 27, end, wide=wide):
            for geometry in _fbx_nodes(file, b"Geometry", *objects, wide=wide):
                for index, _end in _fbx_nodes(file, b"PolygonVertexIndex", *geometry, wide=wide, inside=False):
                    file.seek(index + 1)
                    corners += int.from_bytes(file.read(4), "little")
        return corners // 3


def _fbx_nodes(
    file: BinaryIO, name: bytes, at: int, end: int, *, wide: bool, inside: bool = True
) -> Iterator[tuple[int, int]]:
    """Where the children of each node of that name begin, or its properties, and where it ends."""
    form = "<QQQB" if wide else "<IIIB"
    while at < end:
        file.seek(at)
        following, _count, length, letters = struct.unpack(form, file.read(struct.calcsize(form)))
        if following <= at:
            return
        properties = at + struct.calcsize(form) + letters
        if file.read(letters) == name:
            yield properties + length if inside else properties, following
        at = following


def _texts(path: Path, overlap: int) -> Iterator[bytes]:
    """A file by the megabyte, each piece with so many bytes of the one before: nothing is missed, or counted twice."""
    before = b"\n"
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield before + piece
            before = (before + piece)[-overlap:]
