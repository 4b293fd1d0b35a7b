# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `forget`: tasks leave the list, and with --files what was downloaded for them leaves the disk."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from ..storage.outbox import Outbox, OutboxError, State
from ..storage.store import StatusChanged
from ..storage.task_folder import FolderLocked, remove
from ..tasks.task import Task
from .following import CommandEnd, open_store
from .host import Host
from .output import Exit, Output
from .task_lookup import lookup


def run(host: Host, output: Output, given: Namespace) -> Exit:
    """Raises CommandEnd where something was in the way: such tasks stay."""
    kept = []
    outbox = Outbox(host.outbox)
    with open_store(host.list_path, output) as store:
        for task in lookup(store, given.tasks):
            try:
                if task.kind and outbox.state(task.task_id) is State.SENDING:
                    trouble = "It is being sent just now: wait for the answer."
                else:
                    trouble = _delete(task) if given.files and task.folder else ""
                if not trouble:
                    outbox.forget(task, store.forget)
            except (OutboxError, StatusChanged) as error:
                trouble = str(error)
            if trouble:
                kept.append(f"'{task.name}' stays in the list. {trouble}")
                continue
            output.task(replace(task, folder="", files=()) if given.files else task)
    if kept:
        raise CommandEnd(Exit.TROUBLE, " ".join(kept))
    return Exit.DONE


def _delete(task: Task) -> str:
    """Delete the files that were saved for a task, and only those. Returns what was in the way."""
    try:
        _, reasons = remove(Path(task.folder), [file.name for file in task.files])
    except FolderLocked as error:
        return f"{error} Cancel that there first."
    return " ".join(f"{Path(task.folder) / name} could not be deleted: {why}." for name, why in reasons.items())
