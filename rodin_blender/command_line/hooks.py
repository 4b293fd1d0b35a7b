# SPDX-License-Identifier: GPL-3.0-or-later
"""A studio's functions, see `handlers`, called for what a command sees happen; and the command of --exec."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import handlers
from ..tasks.task import Task
from .execution import Execution
from .output import Output


def changed(output: Output, before: Task | None, task: Task) -> None:
    """A task is not what it was."""
    for functions in handlers.lists_for(before, task):
        call(output, functions, task)


def call(output: Output, functions: list[Callable[..., None]], task: Task, *more: Any) -> None:
    """Call the functions of one of the lists, and tell of those that raised."""
    (name,) = (name for name, known in handlers.LISTS.items() if known is functions)
    for text in handlers.call(functions, task, *more):
        output.hook_failed(name, task.task_id, task.name, str(text))


@contextmanager
def executing(output: Output, command: str) -> Iterator[None]:
    """Have this command, if it is one, run for each result of the block, and be over at its end. Raises BadInput."""
    if not command:
        yield
        return
    output.execution = execution = Execution(command)
    try:
        yield
    except KeyboardInterrupt:
        execution.cancel()
        raise
    finally:
        for result, text in execution.end():
            output.hook_failed("exec", result["task_id"], result["name"], text)
