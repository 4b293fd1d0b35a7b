# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a finished task: what they are called on disk, how each kind begins, and what they are for.

No network, and no file is opened. The name of a file is its path below the task's folder, with "/" on every system.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from ..texts.text import Text

PREVIEW = "preview.webp"
"""The service's picture of the model, without texture."""
MODEL_KINDS = (".glb", ".gltf", ".fbx", ".obj", ".stl", ".usdz", ".usdc", ".usda", ".usd")
NEEDED_KINDS = (*MODEL_KINDS, ".bin")
"""Models, and the geometry of a .gltf: the task is worth nothing without them. All other files are sidecars."""

LONGEST_PATH = 60
"""Of a file's name with its folders, in UTF-16 units, which is what Windows counts; 180 bytes at most elsewhere."""
LONGEST_FOLDER = 39
"""Of the name that begins a task's folder. With its id, a file's path and what marks that as unfinished, all that we
make stays under 120, so that a deep folder of a show does not pass the 260 of Windows."""
_LONGEST_PART = 20
_MAX_DEPTH = 2
"""Folders in each other that a file's path may have."""

HEAD = 64
"""Bytes from the beginning of a file by which `fault` judges it."""
_PICTURE = rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF.{4}WEBP|RIFF.{0,3}$"
_TEXT = rb"\s*[^\s<{\[]"
_BEGINNINGS = {
    ".glb": rb"glTF",
    ".gltf": rb"\s*\{",
    ".fbx": rb"Kaydara FBX Binary|\s*;|\s*FBXHeader",
    ".obj": _TEXT,
    ".mtl": _TEXT,
    ".stl": rb"[^<{\[]",
    ".usda": rb"#usda",
    ".usdc": rb"PXR-USDC",
    ".usdz": rb"PK\x03\x04",
    ".usd": rb"#usda|PXR-USDC|PK\x03\x04",
    ".zip": rb"PK",
    # One picture format for another does no harm: Blender goes by the content.
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp"), _PICTURE),
    ".exr": rb"\x76\x2f\x31\x01",
    ".hdr": rb"#\?",
}
"""How each kind of file begins, as a pattern. A kind that is not here may begin in any way, but not as a web page."""
_WEB_PAGE = re.compile(rb"\s*<(!doctype\s+html|html|head|body|title|h1)\b", re.IGNORECASE)

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class SavedFile:
    """A whole file in a task's folder. `size` is in bytes."""

    name: str
    size: int
    sha256: str = ""
    """In hexadecimal; "" for a file that was saved before checksums were noted."""
    source: str = ""
    """What the service calls it, where a template has given it another name."""

    @property
    def kind(self) -> str:
        return kind_of(self.name)


@dataclass(frozen=True)
class Progress:
    """How far a download is: at file `number` of `count`, of which `received` bytes of `size` are there."""

    name: str = ""
    number: int = 0
    count: int = 0
    received: int = 0
    size: int | None = None
    """None where the file server announces none."""
    speed: float = 0.0
    """Bytes a second, lately."""
    waiting: Text | None = None
    """What it waits for, instead of receiving anything."""

    @property
    def share(self) -> float:
        """From 0 to 1: files that are there, and the part of this one. Their sizes are not known before they begin."""
        if not self.count:
            return 0.0
        part = min(self.received / self.size, 1.0) if self.size else 0.0
        return (self.number - 1 + part) / self.count


def kind_of(name: str) -> str:
    """The ending of a file's name in lower case, with its dot; "" where there is none."""
    _, dot, ending = name.rpartition("/")[2].rpartition(".")
    return dot + ending.lower() if dot else ""


def models(files: Iterable[SavedFile]) -> list[SavedFile]:
    """Those that can be imported, the best first: `*_pbr`, then `*_shaded`, then the rest in the service's order.

    A folder called `pbr` or `shaded` says the same.
    """
    found = [file for file in files if file.kind in MODEL_KINDS and file.size]
    return sorted(found, key=lambda file: _rank(file.name.lower()))


def _rank(name: str) -> int:
    *folders, last = name.split("/")
    stem = last.rpartition(".")[0]
    for rank, word in enumerate(("pbr", "shaded")):
        if stem.endswith(f"_{word}") or word in folders:
            return rank
    return 2


def preview(files: Iterable[SavedFile]) -> str:
    """The name of the service's picture of the model; "" where none was saved."""
    return next((file.name for file in files if file.name.rpartition("/")[2] == PREVIEW and file.size), "")


def stated_size(head: bytes) -> int | None:
    """The size in bytes that a file states in its own first 12 bytes (GLB, WebP); None for other kinds.

    The only way to notice that a file is not whole where the file server announced no length, or a wrong one.
    """
    if head[:4] == b"glTF":
        return max(int.from_bytes(head[8:12], "little"), 12)
    if head[:4] == b"RIFF":
        return max(int.from_bytes(head[4:8], "little") + 8, 12)
    return None


def fault(name: str, head: bytes, size: int) -> Text | None:
    """Why a file cannot be what its name says, by its first `HEAD` bytes and its size; None where nothing is wrong."""
    kind = kind_of(name)
    beginning = _BEGINNINGS.get(kind)
    if beginning and not size:
        return Text("It is empty.")
    if _WEB_PAGE.match(head) and kind not in (".html", ".htm"):
        return Text("It is a web page.")
    if beginning and not re.match(beginning, head.removeprefix(b"\xef\xbb\xbf"), re.DOTALL):
        return Text("It does not begin as a {kind} file does.", kind=kind)
    stated = stated_size(head)
    if stated is not None and stated > size:
        return Text("It is incomplete: {size} of the {stated} bytes that it says it has.", size=size, stated=stated)
    return None


def safe_name(name: str, taken: Iterable[str] = (), longest: int = LONGEST_PATH) -> str:
    """A name for a file or a folder, made of a foreign one: valid on every system, none of `taken` in any case.

    It has at most `longest` UTF-16 units, of 18 and more.
    """
    # Composed, since some systems hold composed and decomposed letters for the same.
    name = unicodedata.normalize("NFC", _FORBIDDEN.sub("_", name))
    # Stripped last: what is hidden around dots must not leave a bare "..".
    name = _stripped(name) or "file"
    if _RESERVED.fullmatch(name):
        name = "_" + name
    stem, dot, ending = name.rpartition(".")
    if not dot or units(ending) > 12:
        stem, dot, ending = name, "", ""
    used = {other.casefold() for other in taken}
    number = 1
    while True:
        tail = (f"-{number}" if number > 1 else "") + dot + ending
        candidate = _cut(stem, longest - units(tail)).rstrip(" .") + tail
        if candidate.casefold() not in used:
            return candidate
        number += 1


def safe_paths(names: Iterable[str]) -> list[str]:
    """Safe paths below the task's folder for all its files, no two alike, in their order.

    The folders in a name are kept, each made safe: a .obj finds its .mtl, and that its textures, beside or below it.
    What leads elsewhere ("..", a root, a drive) is left out. Of many folders in each other the outer ones become one.
    """
    taken: dict[str, set[str]] = {}
    folders: dict[tuple[str, str], str] = {}

    def put(folder: str, name: str, longest: int) -> str:
        used = taken.setdefault(folder, set())
        safe = safe_name(name, used, longest)
        used.add(safe)
        return folder + safe

    found = []
    for name in names:
        *outer, last = _parts(name) or ["file"]
        if len(outer) > _MAX_DEPTH:
            outer = ["_".join(outer[: 1 - _MAX_DEPTH]), *outer[1 - _MAX_DEPTH :]]
        folder = ""
        for part in outer:
            key = folder, unicodedata.normalize("NFC", part).casefold()
            if key not in folders:
                folders[key] = put(folder, part, _LONGEST_PART) + "/"
            folder = folders[key]
        found.append(put(folder, last, LONGEST_PATH - units(folder)))
    return found


def _parts(name: str) -> list[str]:
    """What stands between the slashes of a foreign path, without what leads elsewhere."""
    parts = re.split(r"[/\\]", re.sub(r"^[A-Za-z]:(?=[/\\])", "", name))
    return [part for part in parts if _stripped(part)]


def _stripped(name: str) -> str:
    return "".join(c for c in name if c.isprintable()).strip(" .")


def units(text: str) -> int:
    """The length of a text as Windows counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _cut(text: str, longest: int) -> str:
    return text.encode("utf-16-le", "surrogatepass")[: 2 * max(longest, 1)].decode("utf-16-le", "ignore")
