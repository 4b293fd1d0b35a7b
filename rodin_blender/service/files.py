# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a finished task: what they are called on disk, and what they are for. No network, and no file is opened.

A task's files lie together in a folder of its own. What begins with a dot there is ours: an unfinished file
(`.NAME.part`), which version of it that is (`.NAME.version`), and the lock (`.lock`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

PREVIEW = "preview.webp"
"""The service's picture of the model, without texture."""
MODEL_KINDS = (".glb", ".gltf", ".fbx", ".obj", ".stl", ".usdz", ".usdc", ".usda", ".usd")

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE)
_LONGEST_NAME = 100
"""In bytes, which is what file systems count."""


@dataclass(frozen=True)
class SavedFile:
    """A whole file in a task's folder. `size` is in bytes."""

    name: str
    size: int

    @property
    def kind(self) -> str:
        """The ending in lower case, with its dot; "" where there is none."""
        _, dot, ending = self.name.rpartition(".")
        return dot + ending.lower() if dot else ""


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
    waiting: str = ""
    """What it waits for, instead of receiving anything."""

    @property
    def share(self) -> float:
        """From 0 to 1: files that are there, and the part of this one. Their sizes are not known before they begin."""
        if not self.count:
            return 0.0
        part = min(self.received / self.size, 1.0) if self.size else 0.0
        return (self.number - 1 + part) / self.count


def models(files: Iterable[SavedFile]) -> list[SavedFile]:
    """Those that can be imported, the best first: `*_pbr`, then `*_shaded`, then the rest in the service's order."""
    found = [file for file in files if file.kind in MODEL_KINDS and file.size]
    return sorted(found, key=lambda file: _rank(file.name.rpartition(".")[0].lower()))


def _rank(stem: str) -> int:
    return 0 if stem.endswith("_pbr") else 1 if stem.endswith("_shaded") else 2


def stated_size(head: bytes) -> int | None:
    """The size in bytes that a file states in its own first 12 bytes (GLB, WebP); None for other kinds.

    The only way to notice that a file is not whole where the file server announced no length, or a wrong one.
    """
    if head[:4] == b"glTF":
        return max(int.from_bytes(head[8:12], "little"), 12)
    if head[:4] == b"RIFF":
        return max(int.from_bytes(head[4:8], "little") + 8, 12)
    return None


def safe_name(name: str, taken: set[str]) -> str:
    """A file name made of a foreign one: stays in its folder, valid on every system, none of `taken` in any case."""
    # Composed, since some systems hold composed and decomposed letters for the same.
    name = unicodedata.normalize("NFC", _FORBIDDEN.sub("_", re.split(r"[/\\]", name)[-1]))
    # Stripped last: what is hidden around dots must not leave a bare "..".
    name = "".join(c for c in name if c.isprintable()).strip(" .") or "file"
    if _RESERVED.fullmatch(name):
        name = "_" + name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > 12:
        stem, dot, ending = name, "", ""
    stem = stem.encode()[: _LONGEST_NAME - len(ending.encode())].decode(errors="ignore").rstrip(" .")
    used = {other.casefold() for other in taken}
    candidate, number = stem + dot + ending, 2
    while candidate.casefold() in used:
        candidate = f"{stem}-{number}{dot}{ending}"
        number += 1
    return candidate


def safe_names(names: Iterable[str]) -> list[str]:
    """Safe names for all files of a task, no two alike, in their order."""
    safe: list[str] = []
    for name in names:
        safe.append(safe_name(name, set(safe)))
    return safe
