# SPDX-License-Identifier: GPL-3.0-or-later
"""Each task asked about once. Nothing is put into the list."""

from __future__ import annotations

import time
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING

from ..service.errors import NotAuthorized, ServiceError, Throttled
from ..storage.store import Store
from ..tasks import refusals
from ..tasks.schedule import NO_JOBS
from ..tasks.task import Status, Task, status_of
from ..texts.text import Text, Trouble
from .following import NOT_ACCEPTED, CommandEnd, check, open_store, report_refused
from .host import Host
from .output import Exit, Output
from .task_lookup import lookup_or_parse

if TYPE_CHECKING:
    from ..service.client import Client

LONGEST_WAIT = 60.0
"""Seconds that a task waits for its turn."""


def run(host: Host, output: Output, given: Namespace) -> Exit:
    from ..service.client import Client

    settings = host.settings
    check(settings.blocker)
    client = Client(settings.connection)
    with open_store(host.list_path, output) as store:
        store.requests_per_minute = int(host.value("requests_per_minute"))
        wanted, generations, refused = lookup_or_parse(store, given.keys, settings.api_key)
        codes = [report_refused(output, refused)]
        known = {task.subscription_key: task for task in store.tasks()}
        for number, generation in enumerate(generations, len(wanted) + 1):
            key = generation.subscription_key
            wanted.append(known.get(key) or Task("", generation.name or f"Key {number}", key, generation.task_uuid))
        for task in wanted:
            code, told = _checked(client, store, task)
            codes.append(code)
            output.task(told)
    return max(codes)


def _checked(client: Client, store: Store, task: Task) -> tuple[Exit, Task]:
    """The task as the service tells it, and what that means for the exit code. Raises NotAuthorized."""
    if not task.status.submitted:
        return NOT_ACCEPTED[task.status], task
    _wait_for_request(store)
    code = Exit.DONE
    try:
        jobs = client.status(task.subscription_key)
        task = replace(task, jobs=jobs, status=status_of(jobs), trouble=None if jobs else NO_JOBS)
    except NotAuthorized:
        raise
    except ServiceError as error:
        if isinstance(error, Throttled) and error.retry_after:
            store.throttle(time.time() + error.retry_after, time.time())
        task = replace(task, trouble=refusals.of_check(error))
        code = Exit.TROUBLE
    return (Exit.FAILED if task.status in (Status.FAILED, Status.PARTLY_FAILED) else code), task


def _wait_for_request(store: Store) -> None:
    """Until a request may be sent: they are counted for all programs of a user. Raises CommandEnd."""
    while (at := store.reserve_request(now := time.time())) > now:
        if at - now > LONGEST_WAIT:
            text = Text("The service asks not to be asked before {at:clock}.", at=at)
            raise CommandEnd(Exit.TROUBLE, Trouble("throttled", text))
        time.sleep(at - now)
