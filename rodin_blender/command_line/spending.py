# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `spending`: what generations have cost, by day, tier and outcome.

It is counted from the list, so what was forgotten there is not in it. What the service did not tell the cost of counts
with the price that was expected, and what is uncertain may not have been charged: both are told apart.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ..tasks.task import Status, Task
from .following import open_store
from .host import Host
from .output import Exit, Output
from .planning import cost

_FREE = (Status.UNSENT, Status.REJECTED)


@dataclass
class _Sum:
    """`credits` counts all, `expected` what of it the service did not tell, `uncertain` what may not be charged."""

    tasks: int = 0
    credits: float = 0.0
    expected: float = 0.0
    uncertain: float = 0.0

    def add(self, task: Task) -> None:
        self.tasks += 1
        price = 0.0 if task.status in _FREE else cost(task)
        self.credits += price
        if task.credits is None:
            self.expected += price
        if task.status in (Status.UNCERTAIN, Status.SENDING):
            self.uncertain += price

    @property
    def members(self) -> dict[str, float]:
        found = {"credits": self.credits, "expected": self.expected, "uncertain": self.uncertain}
        return {"tasks": self.tasks, **{name: round(value, 6) for name, value in found.items()}}

    @property
    def line(self) -> str:
        notes = [f"{self.expected:g} of it as expected"] if self.expected else []
        notes += [f"{self.uncertain:g} of it uncertain"] if self.uncertain else []
        return f"{self.tasks} tasks  {self.credits:g} credits" + (f" ({', '.join(notes)})" if notes else "")


def run(host: Host, output: Output, given: Namespace) -> Exit:
    host = host.of_batch(given.batch)
    with open_store(host.list_path, output) as store:
        tasks = [task for task in store.tasks() if task.kind and task.tracked_at >= (given.since or 0.0)]
    whole = _Sum()
    for (day, tier, outcome), found in sorted(_sums(tasks, whole).items()):
        line = f"{day}  {tier}  {outcome.lower().replace('_', ' ')}  {found.line}"
        output.tell("spending", line, day=day, tier=tier, outcome=outcome, **found.members)
    output.tell("spent", f"all  {whole.line}", **whole.members)
    return Exit.DONE


def _sums(tasks: Iterable[Task], whole: _Sum) -> dict[tuple[str, str, str], _Sum]:
    found: dict[tuple[str, str, str], _Sum] = {}
    for task in tasks:
        day = datetime.fromtimestamp(task.tracked_at).date().isoformat()
        key = day, str(task.options.get("tier", "")), task.status.value
        found.setdefault(key, _Sum()).add(task)
        whole.add(task)
    return found
