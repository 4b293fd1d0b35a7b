# SPDX-License-Identifier: GPL-3.0-or-later
"""Each task asked about once. Nothing is put into the list."""

from __future__ import annotations

import time
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING

from ..service.errors import NotAuthorized, Refused, ServiceError, Throttled
from ..storage.store import Store
from ..tasks.task import Status, Task, status_of
from ..texts.wording import clock_text, refusal
from .following import NOT_ACCEPTED, Ended, check, opened, told_refused
from .host import Host
from .named import meant
from .output import Exit, Output

if TYPE_CHECKING:
    from ..service.client import Client

LONGEST_TURN = 60.0
"""Seconds that a task waits for its turn."""


def run(host: Host, output: Output, given: Namespace) -> Exit:
    from ..service.client import Client

    settings = host.settings
    check(settings.obstacle)
    client = Client(settings.connection)
    with opened(host.list_path, output) as store:
        store.requests_per_minute = int(host.value("requests_per_minute"))
        wanted, generations, refused = meant(store, given.keys, settings.api_key)
        codes = [told_refused(output, refused)]
        known = {task.subscription_key: task for task in store.tasks()}
        for number, generation in enumerate(generations, len(wanted) + 1):
            key = generation.subscription_key
            wanted.append(known.get(key) or Task("", generation.name or f"Key {number}", key, generation.task_uuid))
        for task in wanted:
            code, told = _asked(client, store, task)
            codes.append(code)
            output.task(told)
    return max(codes)


def _asked(client: Client, store: Store, task: Task) -> tuple[Exit, Task]:
    """The task as the service tells it, and what that means for the exit code. Raises NotAuthorized."""
    if not task.status.submitted:
        return NOT_ACCEPTED[task.status], task
    _await_turn(store)
    code = Exit.DONE
    try:
        jobs = client.status(task.subscription_key)
        message = "" if jobs else "The service lists no jobs yet."
        task = replace(task, jobs=jobs, status=status_of(jobs), message=message)
    except NotAuthorized:
        raise
    except ServiceError as error:
        if isinstance(error, Throttled) and error.retry_after:
            store.hold(time.time() + error.retry_after, time.time())
        task = replace(task, message=refusal(error) if isinstance(error, Refused) else str(error))
        code = Exit.TROUBLE
    return (Exit.FAILED if task.status in (Status.FAILED, Status.PARTLY_FAILED) else code), task


def _await_turn(store: Store) -> None:
    """Until a request may be sent: they are counted for all programs of a user. Raises Ended."""
    while (at := store.take_request(now := time.time())) > now:
        if at - now > LONGEST_TURN:
            raise Ended(Exit.TROUBLE, f"The service asks not to be asked before {clock_text(at)}.")
        time.sleep(at - now)
