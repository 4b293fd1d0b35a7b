# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands. Each returns its exit code; `run` turns all that goes wrong into a sentence and a code."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

from .. import handlers
from ..configuration.logs import Logging
from ..service.errors import BadInput, NotAuthorized, RodinError, os_reason
from ..service.keys import Secret, printable, task_uuid
from ..storage.disk import write_reason
from ..storage.store import Store
from ..tasks import schedule
from ..tasks.task import Status, Task, Watch
from ..texts.text import Trouble
from ..tracking.messages import TaskChanged, TaskRemoved
from . import (
    arguments,
    batch,
    doctor,
    downloading,
    files,
    forgetting,
    generating,
    hooks,
    importing,
    spending,
    status,
    write_checks,
)
from .following import LONGEST_NAME, NOT_ACCEPTED, CommandEnd, Follower, check, open_store, report_refused
from .host import Host
from .output import Exit, Output, describe, task_line
from .task_lookup import lookup, lookup_or_parse


def run(words: list[str], make_host: Callable[[], Host], *, own_process: bool = False) -> int:
    """Run a command line. `make_host` raises BadInput for what cannot be used. Returns the exit code.

    With `own_process` the process ends with the command.
    """
    output, log = Output(as_json="--json" in words, own_process=own_process), Logging()
    try:
        host = make_host()
        given = arguments.parser(host.program, host.versions).parse_args(words)
        if given.command != "doctor":
            # That call tells what is wrong.
            if host.file_trouble:
                raise BadInput(host.file_trouble)
            log.configure(host.resolve)
            if log.trouble:
                output.live(f"Nothing is logged: {log.trouble}", time.time())
            handlers.load()
        with hooks.executing(output, getattr(given, "exec", "")):
            code = _COMMANDS[given.command](host, output, given)
        if output.failed_hooks and code is Exit.DONE:
            text = f"{output.failed_hooks} of your functions or commands failed; all else went well."
            raise CommandEnd(Exit.HOOK, text)
        return code
    except SystemExit:
        return Exit.DONE  # --help, --version
    except KeyboardInterrupt:
        return output.error("Interrupted. Nothing is lost: run the same command again to go on.", Exit.INTERRUPTED)
    except CommandEnd as error:
        return output.error(error.trouble, error.code)
    except (BadInput, NotAuthorized) as error:
        return output.error(error.trouble, Exit.USAGE)
    except RodinError as error:
        return output.error(error.trouble, Exit.TROUBLE)
    except ModuleNotFoundError as error:
        return output.error(f"This Python has no '{error.name}', which the command needs: install it.", Exit.USAGE)
    except BrokenPipeError:
        return Exit.TROUBLE
    except OSError as error:
        reason = write_reason(error, Path(error.filename)) if error.filename else os_reason(error)
        return output.error(f"{error.filename or 'The output'}: {reason}.", Exit.TROUBLE)
    finally:
        log.end()


def _open(host: Host, output: Output) -> AbstractContextManager[Store]:
    return open_store(host.list_path, output)


def _wait(host: Host, output: Output, given: Namespace) -> Exit:
    """With `given.goes_on` what was waited for is no result yet: it is downloaded next."""
    check(host.settings.blocker)
    with _open(host, output) as store:
        wanted, refused = _known_or_added(store, given.keys, host.settings.api_key)
        for task in wanted:
            # Whoever waits for a task wants it to be asked about.
            if task.status.submitted and not task.followed and not task.status.final:
                store.change(task.task_id, _resumed)
    left = {task.task_id for task in wanted}
    told = report_refused(output, refused)
    codes: list[Exit] = []

    def end(task: Task) -> None:
        left.discard(task.task_id)
        codes.append(_code(task))
        if task.status.final and not (task.status.has_files and given.goes_on):
            output.result("task", task_line(task), **describe(task))
        else:
            output.task(task)

    for task in wanted:
        if task.status.final:
            end(task)
    until = time.monotonic() + given.timeout if given.timeout is not None else float("inf")
    if left and not (codes and given.any):
        with Follower(host, output) as follower:
            for message in follower.messages(until):
                match message:
                    case TaskChanged(task) if task.task_id in left:
                        if task.followed or task.status is Status.SENDING:
                            follower.live_task(task)
                        else:
                            end(task)
                    case TaskRemoved(task_id) if task_id in left:
                        left.discard(task_id)
                        codes.append(Exit.TROUBLE)
                        follower.live(f"{task_id} was removed from the list.")
                if not left or (codes and given.any):
                    break
    if left and not (codes and given.any):
        text = f"{len(left)} of {len(wanted)} tasks are not final yet."
        raise CommandEnd(Exit.TIME_RAN_OUT, f"{text} They stay in the list at {host.list_path}: run `wait` to go on.")
    return max(told, *codes)


def _generate(host: Host, output: Output, given: Namespace) -> Exit:
    if given.exec and not (given.wait or given.to):
        raise BadInput("--exec needs --wait or --to: before that there is no result.")
    if given.to and not given.dry_run:
        # The folder is checked first, since the files of a paid task need a place.
        write_checks.check_folder(given.to.expanduser().absolute())
    try:
        ids = generating.submit(host, output, given)
        return _fetched(host, output, given, ids) if ids and (given.wait or given.to) else Exit.DONE
    except KeyboardInterrupt:
        raise CommandEnd(Exit.INTERRUPTED, f"Interrupted. {generating.go_on(host)}") from None


def _fetched(host: Host, output: Output, given: Namespace, ids: list[str]) -> Exit:
    """Wait for what was generated, and download it where asked for. Raises CommandEnd: it is paid for already."""
    try:
        code = _wait(host, output, Namespace(keys=ids, timeout=given.timeout, any=False, goes_on=bool(given.to)))
        if given.to and code in (Exit.DONE, Exit.FAILED):
            with _open(host, output) as store:
                whole = [task.task_id for task in lookup(store, ids) if task.status.has_files]
            if whole:
                code = max(code, downloading.run(host, output, Namespace(tasks=whole, to=given.to, again=False)))
        return code
    except RodinError as error:
        code = Exit.USAGE if isinstance(error, (BadInput, NotAuthorized)) else Exit.TROUBLE
        code = error.code if isinstance(error, CommandEnd) else code
        # The actions are left out: running the same command again would be charged.
        text = f"{output.voice.say(error.trouble.text)} {generating.go_on(host)}"
        raise CommandEnd(code, Trouble(error.trouble.code, text)) from None


def _known_or_added(store: Store, words: list[str], api_key: Secret) -> tuple[list[Task], list[str]]:
    tasks, generations, refused = lookup_or_parse(store, words, api_key)
    tasks += (store.add(schedule.new_task(generation, time.time())) for generation in generations)
    return list({task.task_id: task for task in tasks}.values()), refused


def _code(task: Task) -> Exit:
    """What a task that is no longer followed means for the exit code."""
    if task.status.final:
        return Exit.DONE if task.status is Status.DONE else Exit.FAILED
    if not task.status.submitted:
        return NOT_ACCEPTED[task.status]
    return Exit.TIME_RAN_OUT if task.watch is Watch.OVERDUE else Exit.TROUBLE


def _track(host: Host, output: Output, given: Namespace) -> Exit:
    uuid, name = task_uuid(given.task_uuid), printable(given.name, LONGEST_NAME)
    with _open(host, output) as store:
        wanted, generations, refused = lookup_or_parse(store, given.keys, host.settings.api_key)
        if len(wanted) + len(generations) > 1 and (name or uuid):
            raise BadInput("--name and --task-uuid are for a single key, and there are several.")
        wanted += (store.add(schedule.new_task(generation, time.time())) for generation in generations)
        for task in wanted:
            edit = partial(replace, name=name or task.name, task_uuid=uuid or task.task_uuid)
            changed = store.change(task.task_id, edit) if name or uuid else None
            hooks.changed(output, task, changed or task)
            output.task(changed or task)
    return report_refused(output, refused)


def _list(host: Host, output: Output, given: Namespace) -> Exit:
    with _open(host, output) as store:
        for task in store.tasks():
            output.task(task)
    return Exit.DONE


def _change(host: Host, output: Output, given: Namespace, change: Callable[[Task], Task]) -> Exit:
    with _open(host, output) as store:
        tasks = lookup(store, given.tasks)
        for task in tasks:
            if not task.status.submitted:
                raise BadInput(f"'{task.name}' was not accepted by the service, so nobody asks about it: see `settle`.")
        for task in tasks:
            changed = store.change(task.task_id, change)
            if changed:
                hooks.changed(output, task, changed)
                output.task(changed)
    return Exit.DONE


def _paused(task: Task) -> Task:
    return schedule.paused(task) if task.followed else task


def _resumed(task: Task) -> Task:
    return task if task.followed or task.status.final else schedule.resumed(task, time.time())


def _balance(host: Host, output: Output, given: Namespace) -> Exit:
    from ..service.client import Client

    settings = host.settings
    check(settings.blocker)
    balance = Client(settings.connection).balance()
    output.tell("account", f"{balance:g} credits", balance=balance)
    return Exit.DONE


_COMMANDS: dict[str, Callable[[Host, Output, Namespace], Exit]] = {
    "generate": _generate,
    "settle": generating.settle,
    "status": status.run,
    "wait": _wait,
    "track": _track,
    "list": _list,
    "pause": partial(_change, change=_paused),
    "resume": partial(_change, change=_resumed),
    "forget": forgetting.run,
    "download": downloading.run,
    "import": importing.run,
    "batch": batch.run,
    "balance": _balance,
    "doctor": doctor.run,
    "files": files.run,
    "spending": spending.run,
}
