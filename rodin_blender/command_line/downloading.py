# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `download`, and the files of tasks for the commands that need them."""

from __future__ import annotations

import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from ..service.errors import BadInput
from ..service.keys import WHERE_THE_UUID_IS
from ..storage import task_folder
from ..tasks import schedule
from ..tasks.task import Download, Status, Task
from ..tracking.messages import DownloadEnded, DownloadProgress, TaskChanged, TaskRemoved
from . import write_checks
from .following import CommandEnd, Follower, open_store
from .host import Host
from .output import Exit, Output, describe, task_line
from .task_lookup import lookup


def run(host: Host, output: Output, given: Namespace) -> Exit:
    parent = given.to.expanduser().absolute() if given.to else host.downloads
    with open_store(host.list_path, output) as store:
        wanted = lookup(store, given.tasks)
    write_checks.check_folder(parent)
    asked = [task for task in wanted if given.again or not _is_saved(task)]
    troubles = fetch(host, output, asked, parent, again=given.again)
    ids = [task.task_id for task in wanted if task.task_id not in troubles]
    with open_store(host.list_path, output) as store:
        found = lookup(store, ids)
    for task in found:
        there = _saved_below(parent, task) if given.to else task
        output.result("task", f"{task_line(there)}  in {there.folder}", **describe(there))
        if task.status is Status.PARTLY_FAILED:
            troubles[task.task_id] = Exit.FAILED, f"'{task.name}' failed in part, so files may be missing."
        elif not task.status.final:
            text = f"'{task.name}' is not finished, so more files may come: run `download` when it is."
            troubles[task.task_id] = Exit.TROUBLE, text
    if troubles:
        raise CommandEnd(max(code for code, _ in troubles.values()), " ".join(text for _, text in troubles.values()))
    return Exit.DONE


def _is_saved(task: Task) -> bool:
    """Whether all its files are there and whole, so that the service, which keeps them for days, need not be asked."""
    return task.download is Download.SAVED and bool(task.files) and not task_folder.troubles(task.folder, task.files)


def _saved_below(parent: Path, task: Task) -> Task:
    """The task with its files below `parent`: copied, where they were saved elsewhere before. Raises OSError."""
    here = Path(task.folder)
    if here.parent == parent:
        return task
    there = parent / here.name
    task_folder.copy(task.files, here, there)
    return replace(task, folder=str(there))


def fetch(
    host: Host, output: Output, wanted: list[Task], parent: Path, *, again: bool = False
) -> dict[str, tuple[Exit, str]]:
    """Have the files of these tasks: where they are already, else below `parent`; with `again` all of them anew.

    Returns by id what kept some from being there. Raises BadInput, CommandEnd.
    """
    for task in wanted:
        if not task.status.submitted:
            raise BadInput(f"'{task.name}' was not accepted by the service, so there is nothing to download.")
        if not task.task_uuid:
            raise BadInput(
                f"The download of '{task.name}' needs its task uuid: `track KEY --task-uuid UUID`. "
                f"{WHERE_THE_UUID_IS}"
            )
    if not wanted:
        return {}
    names = {task.task_id: f"'{task.name}'" for task in wanted}
    checked = {task.task_id: task.checked_at for task in wanted}
    left, begun, reported = set(names), set[str](), set[tuple[str, int, object]]()
    troubles: dict[str, tuple[Exit, str]] = {}

    def end(task_id: str, code: Exit, text: str) -> None:
        left.discard(task_id)
        troubles[task_id] = code, f"{names[task_id]}: {text}"

    with Follower(host, output) as follower:
        for task_id in names:
            follower.tracker.change(task_id, _due_now)
        for message in follower.messages(float("inf")):
            match message:
                case TaskChanged(task) if task.task_id in left - begun:
                    # The state in the list may be a day old.
                    if task.status is Status.FAILED:
                        end(task.task_id, Exit.FAILED, "It failed, so there is nothing to download.")
                    elif task.status.final or task.checked_at != checked[task.task_id]:
                        begun.add(task.task_id)
                        follower.tracker.download(task.task_id, parent, again=again)
                case DownloadProgress(task_id, progress):
                    line = task_id, progress.number, progress.waiting
                    if line in reported:
                        continue
                    reported.add(line)
                    what = output.voice.say(progress.waiting, task=task_id)
                    what = what or f"{progress.number} of {progress.count}: {progress.name}"
                    follower.live(f"{names.get(task_id, task_id)}  {what}")
                case DownloadEnded(task_id, _, None) if task_id in left:
                    # Another program was downloading it. This time the command waits for that.
                    begun.add(task_id)
                    follower.tracker.download(task_id, parent, again=again)
                case DownloadEnded(task_id, folder, said) if task_id in left:
                    text = output.voice.say(said, task=task_id)
                    follower.live(f"{names[task_id]}  {text}")
                    left.discard(task_id)
                    if not folder:
                        end(task_id, Exit.TROUBLE, text)
                case TaskRemoved(task_id) if task_id in left:
                    end(task_id, Exit.TROUBLE, "It was removed from the list.")
            if not left:
                break
    return troubles


def _due_now(task: Task) -> Task:
    return task if task.status.final else schedule.due_now(task, time.time())
