# SPDX-License-Identifier: GPL-3.0-or-later
"""How a task's state is said and drawn: an icon, a word, and a sentence for each."""

from __future__ import annotations

from ..tasks.task import Download, Status, Task, Watch
from .app import app

_STATES = {
    Status.UNSENT: ("TIME", "Not sent", "Not sent yet"),
    Status.SENDING: ("EXPORT", "Sending", "On its way to the service"),
    Status.UNCERTAIN: ("ERROR", "Uncertain", "It may have been charged, and no answer came"),
    Status.REJECTED: ("CANCEL", "Rejected", "Rejected by the service, nothing was charged"),
    Status.UNKNOWN: ("QUESTION", "New", "Its state is not known yet"),
    Status.WAITING: ("TIME", "Waiting", "Waiting in the service's queue"),
    Status.GENERATING: ("SORTTIME", "Generating", "Generating"),
    Status.DONE: ("CHECKMARK", "Done", "Done, ready to download"),
    Status.PARTLY_FAILED: ("ERROR", "Partly failed", "Failed in part"),
    Status.FAILED: ("CANCEL", "Failed", "Failed"),
}
_STOPPED = {
    Watch.PAUSED: ("PAUSE", "Paused", "Paused: the service is not asked"),
    Watch.OVERDUE: ("ERROR", "Stopped", "It took too long: the service is not asked any more"),
    Watch.REFUSED: ("ERROR", "Refused", "The service refuses to tell of it"),
}
_DOWNLOADING = ("IMPORT", "Downloading", "Being downloaded")
_IMPORTING = ("SORTTIME", "Importing", "To be imported")
_DOWNLOADED = ("FILE_TICK", "Downloaded", "Downloaded")
_IN_SCENE = ("SCENE_DATA", "In scene", "In the scene")


def icon(task: Task) -> str:
    return state(task)[0]


def word(task: Task) -> str:
    return state(task)[1]


def sentence(task: Task) -> str:
    """How it stands, without a full stop: "Generating, 1 of 3 jobs done"."""
    text = state(task)[2]
    if task.jobs and not task.status.final:
        text += f", {task.jobs_done} of {len(task.jobs)} jobs done"
    return text


def state(task: Task) -> tuple[str, str, str]:
    """The icon, the word and the sentence."""
    running = app()
    if task.task_id in running.session.files.downloads:
        return _DOWNLOADING
    if task.task_id in running.session.imports.requests:
        return _IMPORTING
    if not task.status.final and task.watch is not Watch.FOLLOWING:
        return _STOPPED[task.watch]
    if task.download is Download.SAVED:
        return _IN_SCENE if running.task_list.is_in_scene(task) else _DOWNLOADED
    return _STATES[task.status]
