# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be generated as it lies in the outbox, and back from JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..tasks.generation_request import GenerationRequest, unsent_task
from ..tasks.kinds import GENERATE, KINDS
from ..tasks.options import checked
from ..tasks.submission import Picture
from ..tasks.task import Box, Placement, Task

SCHEMA = 1


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
