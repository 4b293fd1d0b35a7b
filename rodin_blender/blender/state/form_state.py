# SPDX-License-Identifier: GPL-3.0-or-later
"""What is typed and chosen in the form, but for the options, which are settings. properties/form.py shows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...tasks.task import Task
from ...texts.text import Text, Trouble
from ...tracking.messages import Message, NotSubmitted, TaskChanged, TaskRemoved


@dataclass
class FormState:
    prompt: str = ""
    faults: dict[str, Text | Trouble | None] = field(default_factory=dict)
    """Why the service would not take a picture, None for nothing, by its file."""
    paths: dict[int, str] = field(default_factory=dict)
    """The pictures' files, by the numbers that stand in the properties instead of them."""
    saved_paths: list[str] = field(default_factory=list)
    """The pictures' files while another .blend file is opened."""
    typed: bool = False
    """Whether the prompt was typed, and Blender has not logged the edit yet."""
    used_at: float = 0.0
    """When the form was seen or touched, as `time.monotonic` has it, so that the balance was of interest; 0.0 for not
    yet."""
    sent: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    """Prompts and pictures that are on their way into the list, by task id."""
    originals: dict[str, list[str]] = field(default_factory=dict)
    """The files that were in the form when tasks were begun from it, by task id."""
    returned: list[tuple[str, list[str]]] = field(default_factory=list)
    """Those that did not get there, to be put back into the form."""
    set_aside: list[tuple[str, list[str]]] = field(default_factory=list)
    """Prompts and pictures that the form had no room for, the newest last. Taken back by a press."""
    in_place_of: str = ""
    """The id of a task whose blockout's place and proportions are wanted again; "" for none."""

    def handle(self, message: Message, _before: Task | None) -> None:
        match message:
            case TaskChanged(task):
                # It has got into the list.
                self.sent.pop(task.task_id, None)
            case TaskRemoved(task_id):
                self.originals.pop(task_id, None)
            case NotSubmitted(task_id) if task_id in self.sent:
                self.returned.append(self.sent.pop(task_id))
