# SPDX-License-Identifier: GPL-3.0-or-later
"""How a task's state is said and drawn: an icon, a word, and a sentence for each."""

from __future__ import annotations

from ..tasks.task import Download, Status, Task, Watch
from ..texts.text import Text
from .app import app

_STATES = {
    Status.UNSENT: ("TIME", Text("Not sent"), Text("Not sent yet")),
    Status.SENDING: ("EXPORT", Text("Sending"), Text("On its way to the service")),
    Status.UNCERTAIN: ("ERROR", Text("Uncertain"), Text("It may have been charged, and no answer came")),
    Status.REJECTED: ("CANCEL", Text("Rejected"), Text("Rejected by the service, nothing was charged")),
    Status.UNKNOWN: ("QUESTION", Text("New"), Text("Its state is not known yet")),
    Status.WAITING: ("TIME", Text("Waiting"), Text("Waiting in the service's queue")),
    Status.GENERATING: ("SORTTIME", Text("Generating"), Text("Generating")),
    Status.DONE: ("CHECKMARK", Text("Done"), Text("Done, ready to download")),
    Status.PARTLY_FAILED: ("ERROR", Text("Partly failed"), Text("Failed in part")),
    Status.FAILED: ("CANCEL", Text("Failed"), Text("Failed")),
}
_STOPPED = {
    Watch.PAUSED: ("PAUSE", Text("Paused"), Text("Paused: the service is not asked")),
    Watch.OVERDUE: ("ERROR", Text("Stopped"), Text("It took too long: the service is not asked any more")),
    Watch.REFUSED: ("ERROR", Text("Refused"), Text("The service refuses to tell of it")),
}
_DOWNLOADING = ("IMPORT", Text("Downloading"), Text("Being downloaded"))
_IMPORTING = ("SORTTIME", Text("Importing"), Text("To be imported"))
_DOWNLOADED = ("FILE_TICK", Text("Downloaded"), Text("Downloaded"))
_IN_SCENE = ("SCENE_DATA", Text("In scene"), Text("In the scene"))


def icon(task: Task) -> str:
    return state(task)[0]


def sentence(task: Task) -> Text:
    """How it stands, without a full stop: "Generating, 1 of 3 jobs done"."""
    return _with_jobs(task, state(task)[2]) if task.jobs and not task.status.final else state(task)[2]


def progress(task: Task) -> Text:
    """The same in fewer words, of one whose jobs are known."""
    return _with_jobs(task, state(task)[1])


def _with_jobs(task: Task, how: Text) -> Text:
    return Text("{how}, {done} of {total} jobs done", how=how, done=task.jobs_done, total=len(task.jobs))


def state(task: Task) -> tuple[str, Text, Text]:
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
