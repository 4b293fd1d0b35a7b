# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be generated as it lies in the outbox: its JSON, and the copies of its pictures."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..service.errors import BadInput, os_reason
from ..service.files import safe_name
from ..service.pictures import check_picture
from ..tasks.generation_request import GenerationRequest, unsent_task
from ..tasks.kinds import GENERATE, KINDS
from ..tasks.options import checked
from ..tasks.submission import Picture
from ..tasks.task import Box, Placement, Task
from ..texts.text import Text
from . import private_files

SCHEMA = 1
_ENDINGS = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}


@dataclass(frozen=True)
class StoredRequest:
    """A request as it is stored in the outbox. `pictures` are the copies in its folder, in their order."""

    request: GenerationRequest
    pictures: tuple[Picture, ...]
    made_at: float

    def unsent_task(self) -> Task:
        return unsent_task(self.request, self.made_at, tuple(picture.name for picture in self.pictures))


def to_json(stored: StoredRequest) -> dict[str, Any]:
    """As JSON has it, for `from_json`."""
    request = stored.request
    return {
        "schema": SCHEMA,
        "task_id": request.task_id,
        "kind": request.kind.name,
        "name": request.name,
        "prompt": request.prompt,
        "options": dict(request.options),
        "parent": request.parent,
        "placement": asdict(request.placement) if request.placement else None,
        "pictures": [asdict(picture) for picture in stored.pictures],
        "made_at": stored.made_at,
    }


def copied(path: Path, folder: Path, number: int) -> Picture:
    """A copy of a picture in the request's folder.

    Raises BadInput for one that cannot be read or that the service would not take, OSError where it cannot be written.
    """
    try:
        with path.open("rb") as source:
            kind = check_picture(path.name, source, os.fstat(source.fileno()).st_size)
            source.seek(0)
            content = source.read()
    except OSError as error:
        text = "The picture {path} cannot be read: {reason}. Choose it again."
        raise BadInput(Text(text, path=str(path), reason=os_reason(error))) from None
    # Each picture has a folder of its own, so that it keeps the user's file name, whatever the others are called.
    name = f"{number}/{safe_name(path.stem + _ENDINGS[kind])}"
    (folder / name).parent.mkdir(mode=0o700)
    private_files.write_synced(folder / name, content)
    private_files.sync_folder((folder / name).parent)
    return Picture(name, kind)


def from_json(said: dict[str, Any]) -> StoredRequest:
    """Raises ValueError, TypeError, KeyError, AttributeError, BadInput for what is none."""
    pictures = tuple(Picture(str(found["name"]), str(found["kind"])) for found in said["pictures"])
    # Requests had no kind as long as there was one only.
    kind = KINDS[said.get("kind", GENERATE.name)]
    request = GenerationRequest(
        str(said["task_id"]),
        str(said["prompt"]),
        tuple(Path(picture.name) for picture in pictures),
        checked(said["options"], kind.options),
        str(said["name"]),
        _placement(said["placement"]),
        str(said["parent"]),
        kind,
    )
    return StoredRequest(request, pictures, float(said["made_at"]))


def _placement(said: dict[str, Any] | None) -> Placement | None:
    if said is None:
        return None
    x, y, z = said["location"]
    box = said.get("box")
    return Placement((float(x), float(y), float(z)), str(said["scene"]), str(said["file"]), _box(box) if box else None)


def _box(said: dict[str, Any]) -> Box:
    w, x, y, z = map(float, said["turn"])
    width, depth, height = map(float, said["size"])
    return Box((w, x, y, z), (width, depth, height))
