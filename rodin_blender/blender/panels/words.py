# SPDX-License-Identifier: GPL-3.0-or-later
"""How a task's state is said and drawn: a word and an icon for each."""

from __future__ import annotations

from ...tasks.task import Status, Task, Watch

_ICONS = {
    Status.UNSENT: "TIME",
    Status.SENDING: "EXPORT",
    Status.UNCERTAIN: "ERROR",
    Status.REJECTED: "CANCEL",
    Status.UNKNOWN: "QUESTION",
    Status.WAITING: "TIME",
    Status.GENERATING: "SORTTIME",
    Status.DONE: "CHECKMARK",
    Status.PARTLY_FAILED: "ERROR",
    Status.FAILED: "CANCEL",
}
_WORDS = {
    Status.UNSENT: "Not sent",
    Status.SENDING: "Sending",
    Status.UNCERTAIN: "Uncertain",
    Status.REJECTED: "Rejected",
    Status.UNKNOWN: "New",
    Status.WAITING: "Waiting",
    Status.DONE: "Done",
    Status.PARTLY_FAILED: "Partly failed",
    Status.FAILED: "Failed",
}
LONG_WORDS = {**_WORDS, Status.GENERATING: "Generating"}
_STOPPED = {Watch.PAUSED: "Paused", Watch.OVERDUE: "Stopped", Watch.REFUSED: "Refused"}


def word(task: Task) -> str:
    if not task.status.final and task.watch is not Watch.FOLLOWING:
        return _STOPPED[task.watch]
    return _WORDS.get(task.status) or f"{task.jobs_done} of {len(task.jobs)}"


def icon(task: Task) -> str:
    if not task.status.final and task.watch is not Watch.FOLLOWING:
        return "PAUSE" if task.watch is Watch.PAUSED else "ERROR"
    return _ICONS[task.status]
