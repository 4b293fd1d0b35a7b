# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody wants to have generated, before anything of it is on the disk or on its way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..service.keys import Secret, quoted
from .options import Value, price
from .task import Placement, Status, Task


@dataclass(frozen=True)
class Wish:
    """A model to be generated.

    `task_id` is made by whoever wishes, see `task.new_task_id`. `pictures` are the user's own files in their order:
    copies are made of them before anything is sent. `options` are such as `options.checked` returns.
    """

    task_id: str
    prompt: str
    pictures: tuple[Path, ...]
    options: Mapping[str, Value]
    name: str = ""
    placement: Placement | None = None
    parent: str = ""

    @property
    def proportions(self) -> tuple[int, int, int] | None:
        """Those of the box that the model is wanted in, see `Box.proportions`."""
        return self.placement.box.proportions if self.placement and self.placement.box else None


def name_of(wish: Wish) -> str:
    """The name that the user gave, else the prompt's beginning, else the first picture's."""
    found = wish.name.strip() or quoted(wish.prompt.strip(), 60)
    return found or (quoted(wish.pictures[0].stem, 60) if wish.pictures else "")


def unsent(wish: Wish, now: float, pictures: tuple[str, ...]) -> Task:
    """The task of a wish whose request lies on the disk, with the names that its pictures have there."""
    return Task(
        wish.task_id,
        name_of(wish),
        Secret(""),
        status=Status.UNSENT,
        tracked_at=now,
        kind="generate",
        parent=wish.parent,
        prompt=wish.prompt,
        options=dict(wish.options),
        pictures=pictures,
        placement=wish.placement,
        price=price(wish.options),
    )
