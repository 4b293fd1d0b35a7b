# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody wants to have generated, before anything of it is on the disk or on its way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..service.keys import Secret, redacted
from .kinds import GENERATE, Kind
from .options import Value
from .task import Placement, Status, Task


@dataclass(frozen=True)
class GenerationRequest:
    """A model to be generated.

    The caller makes the `task_id`, see `task.new_task_id`. `pictures` are the user's own files in their order:
    copies are made of them before anything is sent. `options` are such as `options.checked` returns for
    its kind.
    """

    task_id: str
    prompt: str
    pictures: tuple[Path, ...]
    options: Mapping[str, Value]
    name: str = ""
    placement: Placement | None = None
    parent: str = ""
    kind: Kind = GENERATE

    @property
    def proportions(self) -> tuple[int, int, int] | None:
        """Those of the box that the model is wanted in, see `Box.proportions`."""
        return self.placement.box.proportions if self.placement and self.placement.box else None


def name_of(request: GenerationRequest) -> str:
    """The name that the user gave, else the prompt's beginning, else the first picture's."""
    found = request.name.strip() or redacted(request.prompt.strip(), 60)
    return found or (redacted(request.pictures[0].stem, 60) if request.pictures else "")


def unsent_task(request: GenerationRequest, now: float, pictures: tuple[str, ...]) -> Task:
    """The task of a request that is on the disk, with the names that its pictures have there."""
    return Task(
        request.task_id,
        name_of(request),
        Secret(""),
        status=Status.UNSENT,
        tracked_at=now,
        kind=request.kind.name,
        parent=request.parent,
        prompt=request.prompt,
        options=dict(request.options),
        pictures=pictures,
        placement=request.placement,
        price=request.kind.price(request.options),
    )
