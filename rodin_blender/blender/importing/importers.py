# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's own importers: which one is for which kind of file, and why one gave up."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bpy

from ...service.errors import BadInput, os_reason
from ...service.files import fault, kind_of
from ...service.keys import printable
from ...storage.task_folder import head_of
from ...texts.text import Text
from ..voice import say
from . import gltf

_IMPORTERS = {
    ".glb": ("import_scene.gltf",),
    ".gltf": ("import_scene.gltf",),
    # Blender 4.5 has a new one, written in C++; the old one is an add-on.
    ".fbx": ("wm.fbx_import", "import_scene.fbx"),
    ".obj": ("wm.obj_import",),
    ".stl": ("wm.stl_import",),
    **dict.fromkeys((".usd", ".usda", ".usdc", ".usdz"), ("wm.usd_import",)),
}
_ARGUMENTS = {
    # Only importers that have these arguments get them. Everything goes into the one collection.
    "import_scene_as_collection": False,
    "import_scene_extras": False,
    "set_frame_range": False,
    # Otherwise the importer adds an object of its own as the shape of bones.
    "disable_bone_shape": True,
}
_ANOTHER = Text("Try another model of the task, or have it made in another format.")
_PLAIN = {
    "IndexError": Text("It refers to something that is not in it."),
    "KeyError": Text("Something that belongs into it is missing."),
    "AttributeError": Text("Something that belongs into it is missing."),
    "TypeError": Text("Something in it is of the wrong kind."),
    "RecursionError": Text("Its parts contain each other."),
    "UnicodeDecodeError": Text("It holds text that cannot be read."),
    "struct.error": Text("It ends too early."),
    "MemoryError": Text("It needs more memory than there is."),
}
"""What an importer's exception means, where its own words are for programmers."""
_LOCATION = re.compile(r"^Location: |\.py:\d+$")


def run(path: str) -> None:
    """Import a file into the context's scene, where it is what it is called. Raises BadInput with the reason."""
    file = Path(path)
    kind = kind_of(file.name)
    importer = _importer(kind)
    known = importer.get_rna_type().properties.keys()
    arguments = {name: value for name, value in _ARGUMENTS.items() if name in known}
    try:
        wrong = fault(file.name, *head_of(file))
        if wrong:
            text = "'{file}' cannot be imported. {why} {advice}"
            raise BadInput(Text(text, file=file.name, why=wrong, advice=_ANOTHER))
        with TemporaryDirectory(prefix="rodin-") as folder:
            source = gltf.with_default_scene_only(file, Path(folder)) if kind in gltf.KINDS else file
            importer(filepath=str(source), **arguments)
    except OSError as error:
        raise BadInput(Text("'{file}' cannot be read: {reason}.", file=file.name, reason=os_reason(error))) from None
    except RuntimeError as error:
        # What an importer reports, it has understood; an exception, it has not.
        surprised = "Traceback" in str(error) and kind in gltf.KINDS
        why = gltf.fault(file) if surprised else None
        why = why or Text("Blender says: {said}", said=reason_of(error))
        text = "'{file}' could not be imported. {why} {advice}"
        raise BadInput(Text(text, file=file.name, why=why, advice=_ANOTHER)) from None


def size_of(path: str) -> int:
    """In bytes; 0 for a file that `run` will say is not there."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _importer(kind: str) -> Any:
    """An operator of `bpy.ops`. Raises BadInput where this Blender has none."""
    for operator in _IMPORTERS.get(kind, ()):
        module, _, function = operator.partition(".")
        found = getattr(getattr(bpy.ops, module), function)
        try:
            found.get_rna_type()
        except KeyError:
            continue
        return found
    advice = {
        ".glb": Text("Enable the add-on glTF 2.0 in the preferences."),
        ".gltf": Text("Enable the add-on glTF 2.0 in the preferences."),
        ".fbx": Text("Enable the add-on FBX format in the preferences."),
    }.get(kind, Text("It may have been built without; Blender from blender.org has it."))
    if kind:
        raise BadInput(Text("This Blender cannot import {kind} files. {advice}", kind=kind, advice=advice))
    raise BadInput(Text("This Blender cannot import such files. {advice}", advice=advice))


def reason_of(error: Exception) -> Text:
    """What an operator that failed said, with a full stop: its reports, or what the exception at its end means."""
    lines = [line.strip() for line in str(error).splitlines()]
    # The last line says, in Blender's language, which line called the operator: Location: …/ops.py:109.
    lines = [line for line in lines if line and not _LOCATION.search(line)]
    if not any("Traceback" in line for line in lines):
        # The word for it is in Blender's language.
        beginning = f"{say(Text('Error'))}: "
        said = " ".join(line.removeprefix("Error: ").removeprefix(beginning) for line in lines)
        return _sentence(said)
    name, _, said = lines[-1].partition(": ")
    return _PLAIN.get(name) or _sentence(said or name)


def _sentence(said: str) -> Text:
    """What others say, with the full stop that most of them leave out."""
    said = printable(said, 200)
    return Text("{said}", said=said if said.endswith((".", "!", "?", "…", "。")) else f"{said}.")


def missing_of_obj(path: str) -> list[str]:
    """The material files that an .obj names near its beginning and that are not beside it."""
    file = Path(path)
    if kind_of(file.name) != ".obj":
        return []
    with file.open("rb") as content:
        head = content.read(65536).decode(errors="replace")
    names = re.findall(r"^mtllib\s+(.+?)\s*$", head, re.MULTILINE)
    return [name for name in names if not (file.parent / name).is_file()]
