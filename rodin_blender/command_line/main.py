# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands. Each returns its exit code; `run` turns all that goes wrong into a sentence and a code."""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..service.errors import BadInput, Refused, RodinError, ServiceError
from ..service.files import MODEL_KINDS, models
from ..service.keys import Generation, task_uuid
from ..tracking import schedule
from ..tracking.messages import DownloadEnded, DownloadProgress, TaskChanged, TaskRemoved
from ..tracking.store import Store
from ..tracking.tasks import Status, Task, Watch, status_of
from ..tracking.wording import refusal
from . import arguments, batch, doctor
from .following import Ended, Follower, check, chosen, listed
from .host import Host, Import
from .output import Exit, Output


def run(words: list[str], make_host: Callable[[], Host]) -> int:
    """Run a command line. `make_host` raises BadInput for settings that cannot be used. Returns the exit code."""
    try:
        host = make_host()
    except BadInput as error:
        return Output(as_json="--json" in words).error(str(error), Exit.USAGE)
    given = arguments.parser(host.program).parse_args(words)
    output = Output(as_json=given.json)
    try:
        return _COMMANDS[given.command](host, output, given)
    except KeyboardInterrupt:
        return output.error("Interrupted. Nothing is lost: run the same command again to go on.", Exit.INTERRUPTED)
    except Ended as error:
        return output.error(str(error), error.code)
    except BadInput as error:
        return output.error(str(error), Exit.USAGE)
    except RodinError as error:
        return output.error(str(error), Exit.TROUBLE)
    except ModuleNotFoundError as error:
        return output.error(f"This Python has no '{error.name}', which the command needs: install it.", Exit.USAGE)
    except BrokenPipeError:
        # Whoever read our output has gone; what Python would still write at its end must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Exit.TROUBLE


def _open(host: Host) -> closing[Store]:
    return closing(Store(host.list_path))


def _status(host: Host, output: Output, given: Namespace) -> Exit:
    from ..service.client import Client, Connection

    settings = host.settings
    check(settings.obstacle)
    wanted = arguments.generations(given.keys)
    with _open(host) as store:
        known = {task.subscription_key: task for task in store.tasks()}
    client = Client(Connection(settings.address, settings.api_key, settings.timeout, settings.timeout))
    code = Exit.DONE
    for number, generation in enumerate(wanted, 1):
        if number > schedule.REQUESTS_PER_MINUTE:
            time.sleep(60.0 / schedule.REQUESTS_PER_MINUTE)
        name = generation.name or f"Key {number}"
        task = known.get(generation.subscription_key) or Task(
            "", name, generation.subscription_key, generation.task_uuid
        )
        try:
            jobs = client.status(generation.subscription_key)
            task = replace(task, jobs=jobs, status=status_of(jobs), message="" if jobs else "No jobs are listed yet.")
        except ServiceError as error:
            text = refusal(error) if isinstance(error, Refused) else str(error)
            task = replace(task, message=text)
            code = Exit.TROUBLE
        if task.status in (Status.FAILED, Status.PARTLY_FAILED) and code is Exit.DONE:
            code = Exit.FAILED
        output.task(task)
    return code


def _wait(host: Host, output: Output, given: Namespace) -> Exit:
    check(host.settings.obstacle)
    with _open(host) as store:
        wanted = {task.task_id for task in _known_or_added(store, given.keys)}
        for task_id in wanted:
            # Whoever waits for a task wants it to be asked about.
            store.change(task_id, _resumed)
    until = time.monotonic() + given.timeout if given.timeout is not None else float("inf")
    ended: dict[str, Task | None] = {}
    with Follower(host, output) as follower:
        for message in follower.messages(until):
            match message:
                case TaskChanged(task) if task.task_id in wanted - ended.keys():
                    if task.followed:
                        follower.live_task(task)
                    else:
                        ended[task.task_id] = task
                        output.task(task)
                case TaskRemoved(task_id) if task_id in wanted - ended.keys():
                    ended[task_id] = None
                    follower.live(f"{task_id} was removed from the list.")
            if len(ended) == len(wanted) or (ended and given.any):
                return max(map(_code, ended.values()))
    missing = len(wanted) - len(ended)
    raise Ended(Exit.TIME_RAN_OUT, f"{missing} of {len(wanted)} tasks are not final yet. They stay in the list.")


def _known_or_added(store: Store, words: list[str]) -> list[Task]:
    tasks = store.tasks()
    known = [task for word in words if (task := chosen(tasks, word))]
    keys = [word for word in words if not chosen(tasks, word)]
    return known + [store.add(schedule.begun(g, time.time())) for g in (arguments.generations(keys) if keys else ())]


def _code(task: Task | None) -> Exit:
    """What a task that is no longer followed means for the exit code; None for one that was removed."""
    if task is None or task.watch in (Watch.REFUSED, Watch.PAUSED):
        return Exit.TROUBLE
    if task.watch is Watch.OVERDUE and not task.status.final:
        return Exit.TIME_RAN_OUT
    return Exit.FAILED if task.status is not Status.DONE else Exit.DONE


def _track(host: Host, output: Output, given: Namespace) -> Exit:
    wanted = arguments.generations(given.keys)
    if len(wanted) > 1 and (given.name or given.task_uuid):
        raise BadInput("--name and --task-uuid are for a single key, and there are several.")
    uuid = task_uuid(given.task_uuid)
    with _open(host) as store:
        for generation in wanted:
            named = Generation(
                generation.subscription_key, uuid or generation.task_uuid, given.name or generation.name
            )
            output.task(store.add(schedule.begun(named, time.time())))
    return Exit.DONE


def _list(host: Host, output: Output, given: Namespace) -> Exit:
    with _open(host) as store:
        for task in store.tasks():
            output.task(task)
    return Exit.DONE


def _change(host: Host, output: Output, given: Namespace, change: Callable[[Task], Task]) -> Exit:
    with _open(host) as store:
        for task in listed(store, given.tasks):
            changed = store.change(task.task_id, change)
            if changed:
                output.task(changed)
    return Exit.DONE


def _paused(task: Task) -> Task:
    return schedule.paused(task) if task.followed else task


def _resumed(task: Task) -> Task:
    return task if task.followed or task.status.final else schedule.resumed(task, time.time())


def _forget(host: Host, output: Output, given: Namespace) -> Exit:
    with _open(host) as store:
        for task in listed(store, given.tasks):
            store.forget(task.task_id)
            output.task(task)
    return Exit.DONE


def _download(host: Host, output: Output, given: Namespace) -> Exit:
    with _open(host) as store:
        wanted = listed(store, given.tasks)
    _fetch(host, output, wanted, given.to or host.downloads)
    with _open(host) as store:
        for task in listed(store, [task.task_id for task in wanted]):
            output.task(task)
    return Exit.DONE


def _fetch(host: Host, output: Output, wanted: list[Task], parent: Path) -> None:
    """Have the files of all these tasks. Raises BadInput, Ended."""
    for task in wanted:
        if not task.task_uuid:
            raise BadInput(
                f"The download of '{task.name}' needs its task uuid, the \"uuid\" at the top level of the generation "
                "call's answer: `track KEY --task-uuid UUID`."
            )
        if task.status is Status.FAILED:
            raise Ended(Exit.FAILED, f"'{task.name}' failed, so there is nothing to download.")
    names = {task.task_id: task.name for task in wanted}
    waiting, troubles, told = set(names), [], set()
    with Follower(host, output) as follower:
        for task_id in names:
            follower.tracker.download(task_id, parent.absolute())
        for message in follower.messages(float("inf")):
            match message:
                case DownloadProgress(task_id, progress) if (task_id, progress.number, progress.waiting) not in told:
                    told.add((task_id, progress.number, progress.waiting))
                    what = progress.waiting or f"{progress.number} of {progress.count}: {progress.name}"
                    follower.live(f"{names.get(task_id, task_id)}  {what}")
                case DownloadEnded(task_id, folder, text) if task_id in waiting:
                    waiting.remove(task_id)
                    follower.live(f"{names[task_id]}  {text}")
                    if not folder:
                        troubles.append(f"'{names[task_id]}': {text}")
                case TaskRemoved(task_id) if task_id in waiting:
                    waiting.remove(task_id)
                    troubles.append(f"'{names[task_id]}' was removed from the list.")
            if not waiting:
                break
    if troubles:
        raise Ended(Exit.TROUBLE, " ".join(troubles))


def _import(host: Host, output: Output, given: Namespace) -> Exit:
    if host.import_models is None:
        raise BadInput("import needs Blender: blender --background --command rodin import …")
    if given.save.suffix != ".blend":
        raise BadInput(f"--save takes the name of a .blend file, and {given.save} is none.")
    paths = [word for word in given.tasks if Path(word).suffix.lower() in MODEL_KINDS and Path(word).is_file()]
    found: list[tuple[Task | None, Path]] = [(None, Path(word).absolute()) for word in paths]
    words = [word for word in given.tasks if word not in paths]
    if words:
        with _open(host) as store:
            wanted = listed(store, words)
        missing = [task for task in wanted if not _model_or_none(task)]
        if missing:
            _fetch(host, output, missing, host.downloads)
        with _open(host) as store:
            for stored in listed(store, [task.task_id for task in wanted]):
                model = _model_or_none(stored)
                if model is None:
                    raise Ended(Exit.TROUBLE, f"'{stored.name}': there is no model among its files in {stored.folder}.")
                found.append((stored, model))
    how = Import(given.save.absolute(), given.height, given.asset, given.thumbnail and given.thumbnail.absolute())
    host.import_models(found, how)
    for of, path in found:
        name = of.name if of else path.stem
        members = {"name": name, "model": str(path), "blend": str(how.blend), "task_id": of.task_id if of else ""}
        output.tell("import", f"{name}  in {how.blend}", **members)
    return Exit.DONE


def _model_or_none(task: Task) -> Path | None:
    """The best model of a task, if it is on the disk."""
    paths = (Path(task.folder) / file.name for file in models(task.files))
    return next((path for path in paths if path.is_file()), None)


def _balance(host: Host, output: Output, given: Namespace) -> Exit:
    from ..service.client import Client, Connection

    settings = host.settings
    check(settings.obstacle)
    balance = Client(Connection(settings.address, settings.api_key, settings.timeout, settings.timeout)).balance()
    output.tell("account", f"{balance:g} credits", balance=balance)
    return Exit.DONE


_COMMANDS: dict[str, Callable[[Host, Output, Namespace], Exit]] = {
    "status": _status,
    "wait": _wait,
    "track": _track,
    "list": _list,
    "pause": partial(_change, change=_paused),
    "resume": partial(_change, change=_resumed),
    "forget": _forget,
    "download": _download,
    "import": _import,
    "batch": batch.run,
    "balance": _balance,
    "doctor": doctor.run,
}
