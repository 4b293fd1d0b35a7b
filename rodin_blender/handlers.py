# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions of yours to be called when something happens, in the manner of `bpy.app.handlers`.

Append a function to a list. It is called on the main thread, by the timer, with the task as it is now: read-only, with
the attributes of `tasks.task.Task`: `task_id`, `name`, `task_uuid`, `status`, `jobs`, `message`, `folder` and more.
Return soon: Blender's window stands still meanwhile. One that raises is reported by its name, and stays.

The lists outlive disabling and enabling the extension. Each Blender calls its own, for what it sees happen: with more
than one open, `task_done` comes in each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

task_submitted: list[Callable[..., None]] = []
"""(task): the service has accepted what was begun here; `task.credits` is what it took, None where it did not say."""
task_rejected: list[Callable[..., None]] = []
"""(task): the service said no to what was begun here, and charged nothing; `task.message` says why."""
task_updated: list[Callable[..., None]] = []
"""(task): its status, jobs, message, name or files are not what they were."""
task_done: list[Callable[..., None]] = []
"""(task): it has become DONE or PARTLY_FAILED."""
task_failed: list[Callable[..., None]] = []
"""(task): it has become FAILED."""
download_done: list[Callable[..., None]] = []
"""(task): this Blender has saved its files into `task.folder`."""
import_done: list[Callable[..., None]] = []
"""(task, collection): its model is in the scene."""


def call(functions: list[Callable[..., None]], *arguments: Any) -> list[str]:
    """Call them all. Returns a sentence for each that raised."""
    troubles = []
    for function in list(functions):
        try:
            function(*arguments)
        except Exception as error:
            name = f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"
            # The text of a stranger's exception goes to the console only.
            print(f"Rodin: the handler {name} raised {type(error).__name__}: {error}", file=sys.stderr)
            troubles.append(f"The handler {name} failed ({type(error).__name__}); the console says more.")
    return troubles
