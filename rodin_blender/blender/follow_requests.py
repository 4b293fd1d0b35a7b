# SPDX-License-Identifier: GPL-3.0-or-later
"""What a press of Follow or Paste gave to the tracker, and the one line that tells what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..service.keys import Secret
from ..texts.wording import listed

MAX_NAMES = 5


@dataclass
class FollowRequest:
    """The tracker answers in the order in which it was called, so that its answers belong to the oldest press."""

    awaited: int = 1
    """How many tasks have no answer yet."""
    typed: Secret = field(default_factory=lambda: Secret(""))
    """What the panel's field held, to be cleared once all of it is stored."""
    new: int = 0
    known: list[str] = field(default_factory=list)
    """The names of those that were in the list before."""
    failed: bool = False

    def succeed(self, name: str, was_known: bool) -> None:
        self.awaited -= 1
        if was_known:
            self.known.append(name)
        else:
            self.new += 1

    def fail(self) -> None:
        self.awaited -= 1
        self.failed = True

    @property
    def text(self) -> str:
        """One line for the status bar; "" where the list shows enough."""
        if not self.known:
            return f"{self.new} tasks are followed now" if self.new > 1 else ""
        names = listed([f"'{name}'" for name in self.known], MAX_NAMES)
        if not self.new:
            return f"already in the list: {names}"
        return f"{self.new} {'task is' if self.new == 1 else 'tasks are'} followed now; already in the list: {names}"
