# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions of yours to be called when something happens, in the manner of `bpy.app.handlers`.

Append a function to a list, or name a Python file by RODIN_HOOKS whose functions have the lists' names. It is called on
the main thread, by the timer or the command, with the task as it is now: read-only, with the attributes of
`tasks.task.Task`: `task_id`, `name`, `task_uuid`, `status`, `jobs`, `message` (in English) and its `code`, `folder` and
more. Return soon, since Blender's window stands still meanwhile. One that raises is reported by its name, and stays.

The lists outlive disabling and enabling the extension. Each Blender, and each command, calls its own for what it sees
happen: with more than one open, `task_done` comes in each.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from types import CodeType
from typing import Any

from .service.errors import BadInput, frames
from .storage import paths
from .tasks.task import Status, Task
from .texts.text import Text

_log = logging.getLogger(__name__)

VARIABLE = "RODIN_HOOKS"

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

LISTS = {
    "task_submitted": task_submitted,
    "task_rejected": task_rejected,
    "task_updated": task_updated,
    "task_done": task_done,
    "task_failed": task_failed,
    "download_done": download_done,
    "import_done": import_done,
}
_loaded: set[str] = set()


def named() -> str:
    """The whole path of the file that RODIN_HOOKS names, "" where it names none."""
    path = os.environ.get(VARIABLE, "").strip()
    return str(paths.from_start(path)) if path else ""


def unread() -> str:
    """The same, but "" for a file whose functions are in the lists already."""
    path = named()
    return "" if path in _loaded else path


def read(path: str) -> Callable[[], None]:
    """Read and compile a file of functions, in any thread. What it returns is for the main thread, see `_run`.

    Raises BadInput for one that cannot be used, as that does.
    """
    try:
        spec = spec_from_file_location("rodin_hooks", path)
        code = spec.loader.get_code(spec.name) if spec and isinstance(spec.loader, InspectLoader) else None
        if spec is None or code is None:
            raise ImportError("not named *.py")
    except Exception as error:
        raise _unusable(path, error) from None
    return partial(_run, path, spec, code)


def load() -> None:
    """Append the functions of the file that RODIN_HOOKS names, once, at once: for what may read a file meanwhile.

    Raises BadInput for one that cannot be used.
    """
    path = unread()
    if path:
        read(path)()


def _run(path: str, spec: ModuleSpec, code: CodeType) -> None:
    """Run the file, which may use `bpy`, and append its functions."""
    module = module_from_spec(spec)
    try:
        exec(code, module.__dict__)  # noqa: S102, to run it is what the user wishes
    except Exception as error:
        raise _unusable(path, error) from None
    found = {name: getattr(module, name) for name in LISTS if callable(getattr(module, name, None))}
    if not found:
        text = "The file that {variable} names ({path}) has no function called {names}."
        raise BadInput(Text(text, variable=VARIABLE, path=path, names=", ".join(LISTS)))
    _loaded.add(path)
    for name, function in found.items():
        LISTS[name].append(function)


def _unusable(path: str, error: Exception) -> BadInput:
    _tell(f"The file that {VARIABLE} names", error)
    text = "The file that {variable} names cannot be used ({path}): {kind}."
    return BadInput(Text(text, variable=VARIABLE, path=path, kind=type(error).__name__))


def lists_for(before: Task | None, task: Task) -> list[list[Callable[..., None]]]:
    """The lists to call for a task that has changed; none where only its times have. `before` is None for a new one."""
    if before is None:
        return [task_updated]
    if _without_times(before) == _without_times(task):
        return []
    lists = [task_updated]
    if not before.status.submitted and task.status.submitted:
        lists.append(task_submitted)
    elif task.status is Status.REJECTED and before.status is not Status.REJECTED:
        lists.append(task_rejected)
    if task.status.final and not before.status.final:
        lists.append(task_done if task.status.has_files else task_failed)
    return lists


def _without_times(task: Task) -> Task:
    return replace(task, checked_at=0.0, next_check_at=0.0, interval=0.0, watched=0.0)


def call(functions: list[Callable[..., None]], *arguments: Any) -> list[Text]:
    """Call them all. Returns a sentence for each that raised."""
    troubles = []
    for function in list(functions):
        try:
            function(*arguments)
        except Exception as error:
            name = f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"
            _tell(f"The handler {name}", error)
            text = "The handler {name} failed ({kind}); the console says more."
            troubles.append(Text(text, name=name, kind=type(error).__name__))
    return troubles


def _tell(what: str, error: Exception) -> None:
    """Log what a stranger's code raised, and where. Its text may quote a secret, so only the console has that."""
    kind = type(error).__name__
    _log.error("%s raised %s:\n%s", what, kind, frames(error))
    # A program without a console has no standard error, and to make a text of a stranger's exception may raise, too.
    with suppress(Exception):
        sys.stderr.write(f"Rodin: {kind}: {error}\n")
