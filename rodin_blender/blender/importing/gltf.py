# SPDX-License-Identifier: GPL-3.0-or-later
"""What a glTF file says of itself: its default scene, and what is wrong with it. Knows no Blender.

Source: the glTF 2.0 specification, sections 3.5 (scenes, nodes) and 4.4 (the chunks of a GLB).
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from urllib.parse import quote, unquote

from ...storage.model_file import Document, read_gltf
from ...texts.text import Text

KINDS = (".glb", ".gltf")


def with_default_scene_only(path: Path, folder: Path) -> Path:
    """The file itself, or where it has nodes outside of its default scene, a copy in `folder` without those.

    Blender's importer brings all nodes of a file, whatever scene they are in. Raises OSError.
    """
    try:
        document, offset = read_gltf(path)
        kept = _in_default_scene(document)
        if kept is None or len(kept) == len(document["nodes"]):
            return path
        content = json.dumps(_reduced(document, kept, path.parent)).encode()
    except (ValueError, KeyError, TypeError, IndexError):
        # A broken file: the importer finds out by itself, and then `fault` says why.
        return path
    copy = folder / path.name
    if not offset:
        copy.write_bytes(content)
        return copy
    content += b" " * (-len(content) % 4)
    with path.open("rb") as whole, copy.open("wb") as file:
        rest = path.stat().st_size - offset
        file.write(b"glTF" + b"".join(number.to_bytes(4, "little") for number in (2, 20 + len(content) + rest)))
        file.write(len(content).to_bytes(4, "little") + b"JSON" + content)
        whole.seek(offset)
        shutil.copyfileobj(whole, file)
    return copy


def _in_default_scene(document: Document) -> list[int] | None:
    """The indices of the nodes below the default scene, the first one where none is named; None without any scene."""
    scenes = document.get("scenes")
    if not scenes:
        return None
    found: set[int] = set()
    waiting = list(scenes[document.get("scene", 0)].get("nodes", ()))
    while waiting:
        index = waiting.pop()
        if index not in found:
            found.add(index)
            waiting += document["nodes"][index].get("children", ())
    # Bones may stand anywhere.
    for skin in document.get("skins", ()):
        found.update(skin["joints"])
    return sorted(found)


def _reduced(document: Document, kept: list[int], folder: Path) -> Document:
    """A document with these nodes only, to be read in another folder."""
    new = {index: number for number, index in enumerate(kept)}
    nodes = [dict(document["nodes"][index]) for index in kept]
    for node in nodes:
        if "children" in node:
            node["children"] = [new[child] for child in node["children"] if child in new]
    scene = dict(document["scenes"][document.get("scene", 0)])
    scene["nodes"] = [new[index] for index in scene.get("nodes", ())]
    reduced = {**document, "nodes": nodes, "scenes": [scene], "scene": 0}
    if "skins" in document:
        reduced["skins"] = [_pointed(skin, new) for skin in document["skins"]]
    animations = []
    for animation in document.get("animations", ()):
        channels = [
            {**channel, "target": {**channel["target"], "node": new[channel["target"]["node"]]}}
            for channel in animation["channels"]
            if channel["target"].get("node") in new
        ]
        if channels:
            animations.append({**animation, "channels": channels})
    reduced.pop("animations", None)
    if animations:
        reduced["animations"] = animations
    for kind in ("buffers", "images"):
        if kind in document:
            reduced[kind] = [_from_there(item, folder) for item in document[kind]]
    return reduced


def _pointed(skin: Document, new: dict[int, int]) -> Document:
    changed = {**skin, "joints": [new[joint] for joint in skin["joints"]]}
    changed.pop("skeleton", None)
    if skin.get("skeleton") in new:
        changed["skeleton"] = new[skin["skeleton"]]
    return changed


def _from_there(item: Document, folder: Path) -> Document:
    """A buffer or an image whose file lies in that folder."""
    uri = item.get("uri", "")
    return {**item, "uri": quote((folder / unquote(uri)).as_posix())} if uri and ":" not in uri else item


def fault(path: Path) -> Text | None:
    """Why an importer gave up on a file: what is broken, or more than this Blender can read; None for nothing found.

    An importer is more lenient than the specification, so this is no reason not to try.
    """
    try:
        document, _offset = read_gltf(path)
    except (OSError, ValueError):
        return Text("Its description is damaged.")
    try:
        return _fault(document, path.parent)
    except (KeyError, TypeError, AttributeError):
        return Text("Its description has something of the wrong kind.")


def _fault(document: Document, folder: Path) -> Text | None:
    version = document["asset"]["version"]
    if not version.startswith("2."):
        return Text("It is glTF {version}; Blender reads 2.0.", version=version[:8])
    required = document.get("extensionsRequired", [])
    if "KHR_draco_mesh_compression" in required:
        return Text(
            "It is compressed with Draco, and this Blender has no Draco library, which Blender from blender.org has."
        )
    nodes = document.get("nodes", [])
    parents = Counter(child for node in nodes for child in node.get("children", ()))
    twice = next((index for index, count in parents.items() if count > 1), None)
    if twice is not None:
        return Text("Its node {number} is listed twice.", number=twice)
    for name, index, kind in _references(document):
        if not 0 <= index < len(document.get(kind, [])):
            text = "{part} names number {number} of its {kind}, which is not there."
            return Text(text, part=name, number=index, kind=kind)
    for buffer in (*document.get("buffers", ()), *document.get("images", ())):
        uri = buffer.get("uri", "")
        if uri and ":" not in uri and not (folder / unquote(uri)).is_file():
            return Text("Its file '{file}' is not there.", file=uri)
    if required:
        names = ", ".join(str(name) for name in required)[:100]
        return Text("It needs the glTF extension {names}.", names=names)
    return None


def _references(document: Document) -> list[tuple[Text, int, str]]:
    """What names something else by its index: who it is, the index, and the list that is meant."""
    found = [(Text("Its default scene"), document.get("scene", 0), "scenes")] if "scene" in document else []
    for number, scene in enumerate(document.get("scenes", ())):
        found += [(Text("Scene {number}", number=number), index, "nodes") for index in scene.get("nodes", ())]
    for number, node in enumerate(document.get("nodes", ())):
        found += [(Text("Node {number}", number=number), index, "nodes") for index in node.get("children", ())]
        keys = (("mesh", "meshes"), ("skin", "skins"), ("camera", "cameras"))
        found += [(Text("Node {number}", number=number), node[key], kind) for key, kind in keys if key in node]
    for number, mesh in enumerate(document.get("meshes", ())):
        for primitive in mesh["primitives"]:
            indices = [*primitive["attributes"].values(), *([primitive["indices"]] if "indices" in primitive else ())]
            found += [(Text("Mesh {number}", number=number), index, "accessors") for index in indices]
            if "material" in primitive:
                found.append((Text("Mesh {number}", number=number), primitive["material"], "materials"))
    for key, kind in (("accessors", "bufferViews"), ("bufferViews", "buffers"), ("images", "bufferViews"),
                      ("textures", "images")):  # fmt: skip
        name = {"accessors": "bufferView", "bufferViews": "buffer", "images": "bufferView", "textures": "source"}[key]
        found += [
            (Text("Number {number} of its {key}", number=number, key=key), item[name], kind)
            for number, item in enumerate(document.get(key, ()))
            if name in item
        ]
    return found
