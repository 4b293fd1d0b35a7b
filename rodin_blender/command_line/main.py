# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands. Each returns its exit code; `run` turns all that goes wrong into a sentence and a code."""

from __future__ import annotations

import re
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..service.errors import BadInput, NotAuthorized, RodinError, os_reason
from ..service.files import MODEL_KINDS, models
from ..service.keys import WHERE_THE_UUID_IS, Secret, shown, task_uuid
from ..storage import task_folder
from ..storage.disk import write_reason
from ..storage.store import Store
from ..tasks import schedule
from ..tasks.task import Download, Status, Task, Watch
from ..tracking.messages import DownloadEnded, DownloadProgress, TaskChanged, TaskRemoved
from . import arguments, batch, doctor, forgetting, generating, results, status
from .following import LONGEST_NAME, NOT_ACCEPTED, Ended, Follower, check, opened, told_refused
from .host import Host, Import
from .named import Named, listed, meant
from .output import Exit, Output, describe, task_line


def run(words: list[str], make_host: Callable[[], Host]) -> int:
    """Run a command line. `make_host` raises BadInput for settings that cannot be used. Returns the exit code."""
    output = Output(as_json="--json" in words)
    try:
        host = make_host()
        given = arguments.parser(host.program).parse_args(words)
        return _COMMANDS[given.command](host, output, given)
    except SystemExit:
        return Exit.DONE  # --help
    except KeyboardInterrupt:
        return output.error("Interrupted. Nothing is lost: run the same command again to go on.", Exit.INTERRUPTED)
    except Ended as error:
        return output.error(str(error), error.code)
    except (BadInput, NotAuthorized) as error:
        return output.error(str(error), Exit.USAGE)
    except RodinError as error:
        return output.error(str(error), Exit.TROUBLE)
    except ModuleNotFoundError as error:
        return output.error(f"This Python has no '{error.name}', which the command needs: install it.", Exit.USAGE)
    except BrokenPipeError:
        return Exit.TROUBLE
    except OSError as error:
        reason = write_reason(error, Path(error.filename)) if error.filename else os_reason(error)
        return output.error(f"{error.filename or 'The output'}: {reason}.", Exit.TROUBLE)


def _open(host: Host, output: Output) -> AbstractContextManager[Store]:
    return opened(host.list_path, output)


def _wait(host: Host, output: Output, given: Namespace) -> Exit:
    check(host.settings.obstacle)
    with _open(host, output) as store:
        wanted, refused = _known_or_added(store, given.keys, host.settings.api_key)
        for task in wanted:
            # Whoever waits for a task wants it to be asked about.
            if task.status.submitted and not task.followed and not task.status.final:
                store.change(task.task_id, _resumed)
    left = {task.task_id for task in wanted}
    told = told_refused(output, refused)
    codes: list[Exit] = []

    def end(task: Task) -> None:
        left.discard(task.task_id)
        codes.append(_code(task))
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
        text = f"{len(left)} of {len(wanted)} tasks are not final yet. They stay in the list: run `wait` to go on."
        raise Ended(Exit.TIME_RAN_OUT, text)
    return max(told, *codes)


def _generate(host: Host, output: Output, given: Namespace) -> Exit:
    try:
        ids = generating.submit(host, output, given)
        return _fetched(host, output, given, ids) if ids and (given.wait or given.to) else Exit.DONE
    except KeyboardInterrupt:
        raise Ended(Exit.INTERRUPTED, f"Interrupted. {generating.GO_ON}") from None


def _fetched(host: Host, output: Output, given: Namespace, ids: list[str]) -> Exit:
    """Wait for what was generated, and download it where that is wished. Raises Ended: it is paid for already."""
    try:
        code = _wait(host, output, Namespace(keys=ids, timeout=given.timeout, any=False))
        if given.to and code in (Exit.DONE, Exit.FAILED):
            with _open(host, output) as store:
                whole = [task.task_id for task in listed(store, ids) if task.status.has_files]
            if whole:
                code = max(code, _download(host, output, Namespace(tasks=whole, to=given.to, again=False)))
        return code
    except RodinError as error:
        # What other commands advise, to run the same once more, would be paid for here.
        text = re.sub(r"Press Download( again)?", "Run `download`", str(error))
        text = re.sub(r"press Download( again)?", "run `download`", text)
        code = Exit.USAGE if isinstance(error, (BadInput, NotAuthorized)) else Exit.TROUBLE
        code = error.code if isinstance(error, Ended) else code
        raise Ended(code, f"{text} {generating.GO_ON}") from None


def _known_or_added(store: Store, words: list[str], api_key: Secret) -> tuple[list[Task], list[str]]:
    tasks, generations, refused = meant(store, words, api_key)
    tasks += (store.add(schedule.begun(generation, time.time())) for generation in generations)
    return list({task.task_id: task for task in tasks}.values()), refused


def _code(task: Task) -> Exit:
    """What a task that is no longer followed means for the exit code."""
    if task.status.final:
        return Exit.DONE if task.status is Status.DONE else Exit.FAILED
    if not task.status.submitted:
        return NOT_ACCEPTED[task.status]
    return Exit.TIME_RAN_OUT if task.watch is Watch.OVERDUE else Exit.TROUBLE


def _track(host: Host, output: Output, given: Namespace) -> Exit:
    uuid, name = task_uuid(given.task_uuid), shown(given.name, LONGEST_NAME)
    with _open(host, output) as store:
        wanted, generations, refused = meant(store, given.keys, host.settings.api_key)
        if len(wanted) + len(generations) > 1 and (name or uuid):
            raise BadInput("--name and --task-uuid are for a single key, and there are several.")
        wanted += (store.add(schedule.begun(generation, time.time())) for generation in generations)
        for task in wanted:
            wish = partial(replace, name=name or task.name, task_uuid=uuid or task.task_uuid)
            changed = store.change(task.task_id, wish) if name or uuid else None
            output.task(changed or task)
    return told_refused(output, refused)


def _list(host: Host, output: Output, given: Namespace) -> Exit:
    with _open(host, output) as store:
        for task in store.tasks():
            output.task(task)
    return Exit.DONE


def _change(host: Host, output: Output, given: Namespace, change: Callable[[Task], Task]) -> Exit:
    with _open(host, output) as store:
        tasks = listed(store, given.tasks)
        for task in tasks:
            if not task.status.submitted:
                raise BadInput(f"'{task.name}' was not accepted by the service, so nobody asks about it: see `settle`.")
        for task in tasks:
            changed = store.change(task.task_id, change)
            if changed:
                output.task(changed)
    return Exit.DONE


def _paused(task: Task) -> Task:
    return schedule.paused(task) if task.followed else task


def _resumed(task: Task) -> Task:
    return task if task.followed or task.status.final else schedule.resumed(task, time.time())


def _asked_now(task: Task) -> Task:
    return task if task.status.final else schedule.asked_now(task, time.time())


def _download(host: Host, output: Output, given: Namespace) -> Exit:
    parent = given.to.expanduser().absolute() if given.to else host.downloads
    with _open(host, output) as store:
        wanted = listed(store, given.tasks)
    asked = [task for task in wanted if given.again or not _is_saved(task)]
    troubles = _fetch(host, output, asked, parent, again=given.again)
    ids = [task.task_id for task in wanted if task.task_id not in troubles]
    with _open(host, output) as store:
        found = listed(store, ids)
    for task in found:
        there = _in(parent, task) if given.to else task
        output.tell("task", f"{task_line(there)}  in {there.folder}", **describe(there))
        if task.status is Status.PARTLY_FAILED:
            troubles[task.task_id] = Exit.FAILED, f"'{task.name}' failed in part, so files may be missing."
        elif not task.status.final:
            text = f"'{task.name}' is not finished, so more files may come: run `download` when it is."
            troubles[task.task_id] = Exit.TROUBLE, text
    _raise_if_any(troubles)
    return Exit.DONE


def _raise_if_any(troubles: dict[str, tuple[Exit, str]]) -> None:
    """Raises Ended."""
    if troubles:
        raise Ended(max(code for code, _ in troubles.values()), " ".join(text for _, text in troubles.values()))


def _is_saved(task: Task) -> bool:
    """Whether all its files are there and whole, so that the service, which keeps them for days, need not be asked."""
    return task.download is Download.SAVED and bool(task.files) and not task_folder.troubles(task.folder, task.files)


def _in(parent: Path, task: Task) -> Task:
    """The task with its files below `parent`: copied, where they were saved elsewhere before. Raises OSError."""
    here = Path(task.folder)
    if here.parent == parent:
        return task
    there = parent / here.name
    task_folder.copy(task.files, here, there)
    return replace(task, folder=str(there))


def _fetch(
    host: Host, output: Output, wanted: list[Task], parent: Path, *, again: bool = False
) -> dict[str, tuple[Exit, str]]:
    """Have the files of these tasks: where they are already, else below `parent`; with `again` all of them anew.

    Returns by id what kept some from being there. Raises BadInput, Ended.
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
    left, begun, told = set(names), set[str](), set[tuple[str, int, str]]()
    troubles: dict[str, tuple[Exit, str]] = {}

    def end(task_id: str, code: Exit, text: str) -> None:
        left.discard(task_id)
        troubles[task_id] = code, f"{names[task_id]}: {text}"

    with Follower(host, output) as follower:
        for task_id in names:
            follower.tracker.change(task_id, _asked_now)
        for message in follower.messages(float("inf")):
            match message:
                case TaskChanged(task) if task.task_id in left - begun:
                    # What the list says may be of yesterday.
                    if task.status is Status.FAILED:
                        end(task.task_id, Exit.FAILED, "It failed, so there is nothing to download.")
                    elif task.status.final or task.checked_at != checked[task.task_id]:
                        begun.add(task.task_id)
                        follower.tracker.download(task.task_id, parent, again=again)
                case DownloadProgress(task_id, progress) if (task_id, progress.number, progress.waiting) not in told:
                    told.add((task_id, progress.number, progress.waiting))
                    what = progress.waiting or f"{progress.number} of {progress.count}: {progress.name}"
                    follower.live(f"{names.get(task_id, task_id)}  {what}")
                case DownloadEnded(task_id, "", "") if task_id in left:
                    # Another program was at it. This time it is waited for.
                    begun.add(task_id)
                    follower.tracker.download(task_id, parent, again=again)
                case DownloadEnded(task_id, folder, text) if task_id in left:
                    follower.live(f"{names[task_id]}  {text}")
                    left.discard(task_id)
                    if not folder:
                        end(task_id, Exit.TROUBLE, text)
                case TaskRemoved(task_id) if task_id in left:
                    end(task_id, Exit.TROUBLE, "It was removed from the list.")
            if not left:
                break
    return troubles


def _import(host: Host, output: Output, given: Namespace) -> Exit:
    if host.import_models is None:
        raise BadInput("import needs Blender: blender --background --command rodin import …")
    if given.save.suffix != ".blend":
        raise BadInput(f"--save takes the name of a .blend file, and {given.save} is none.")
    paths = [word for word in given.tasks if Path(word).suffix.lower() in MODEL_KINDS and Path(word).is_file()]
    found: list[tuple[Task | None, Path]] = [(None, Path(word).absolute()) for word in paths]
    words = [word for word in given.tasks if word not in paths]
    if words:
        tasks = _of_batch(given.results, words) if given.results else _of_list(host, output, words)
        advice = "Run `batch` again, which fetches what is missing." if given.results else "Run `download` for it."
        found += ((task, _model(task, advice)) for task in tasks)
    how = Import(given.save.absolute(), given.height, given.asset, given.thumbnail and given.thumbnail.absolute())
    host.import_models(found, how)
    for of, path in found:
        name = of.name if of else path.stem
        members = {"name": name, "model": str(path), "blend": str(how.blend), "task_id": of.task_id if of else ""}
        output.tell("import", f"{name}  in {how.blend}", **members)
    return Exit.DONE


def _of_list(host: Host, output: Output, words: list[str]) -> list[Task]:
    """Tasks to import, downloaded if need be. Raises BadInput, Ended."""
    with _open(host, output) as store:
        wanted = listed(store, words)
    missing = [task for task in wanted if not _model_or_none(task)]
    _raise_if_any(_fetch(host, output, missing, host.downloads))
    with _open(host, output) as store:
        return listed(store, [task.task_id for task in wanted])


def _of_batch(path: Path, words: list[str]) -> list[Task]:
    """The same of a batch's results; nothing is downloaded. Raises BadInput, Ended."""
    tasks = Named(results.read(path), str(path))
    found = []
    for word in words:
        task = tasks.task(word)
        if task.status is Status.FAILED:
            raise Ended(Exit.FAILED, f"'{task.name}' failed, so there is nothing to import.")
        found.append(task)
    return found


def _model(task: Task, advice: str) -> Path:
    """The best model of a task. Raises Ended."""
    model = _model_or_none(task)
    if model is None:
        found = task_folder.troubles(task.folder, models(task.files))
        name, why = next(iter(found.items()), ("", ""))
        what = f"'{name}' in {task.folder}: {why} {advice}"
        if not name:
            what = f"there is no model among its files in {task.folder}."
        raise Ended(Exit.TROUBLE, f"'{task.name}': {what}")
    return model


def _model_or_none(task: Task) -> Path | None:
    """The best model of a task that is on the disk and whole."""
    folder = Path(task.folder)
    return next((folder / file.name for file in models(task.files) if not task_folder.trouble(folder, file)), None)


def _balance(host: Host, output: Output, given: Namespace) -> Exit:
    from ..service.client import Client

    settings = host.settings
    check(settings.obstacle)
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
    "download": _download,
    "import": _import,
    "batch": batch.run,
    "balance": _balance,
    "doctor": doctor.run,
}
