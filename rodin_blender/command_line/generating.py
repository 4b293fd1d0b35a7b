# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks that are begun from a shell: each is paid for once, whatever ends the command."""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..configuration import GENERATE
from ..service.errors import BadInput, os_reason
from ..service.pictures import check_picture
from ..storage.outbox import Outbox, OutboxError, State
from ..storage.store import StatusChanged
from ..tasks import options
from ..tasks.generation_request import GenerationRequest
from ..tasks.options import OPTIONS, Value
from ..tasks.submission import Picture, answer_in, fields, submission
from ..tasks.task import Status, Task, new_task_id
from ..texts.text import Trouble
from ..tracking.messages import NotSubmitted, SubmissionProgress, TaskChanged, TaskRemoved
from ..tracking.sending import settled, unchecked_text
from . import arguments, hooks
from .following import CommandEnd, Follower, check, open_store
from .host import Host
from .output import Exit, Output, describe
from .task_lookup import lookup

MAX_AT_ONCE = 100
"""Tasks of one `generate`: a mistyped number is not to cost a fortune."""


def go_on(host: Host) -> str:
    """What to do after a `generate` that was cut short."""
    return (
        f"What was begun is in the list at {host.list_path}: run `list`, then `wait`, `download` or `settle`. The same "
        "command once more would generate, and cost, once more."
    )


def submit(host: Host, output: Output, given: Namespace) -> list[str]:
    """Have the tasks generated, as far as being accepted. Returns their ids; none for a dry run. Raises CommandEnd."""
    prompt = arguments.standard_input() if given.prompt == "-" else given.prompt
    requests = _requests(host, given, prompt)
    total = sum(options.price(request.options) for request in requests)
    check_price(host, max(options.price(request.options) for request in requests))
    if given.max_credits is not None and total > given.max_credits:
        raise BadInput(f"It would cost about {total:g} credits, more than --max-credits {given.max_credits:g}.")
    if given.dry_run:
        for request in requests:
            _describe_request(output, request)
        output.live(f"Nothing was sent. It would cost about {total:g} credits.", time.time())
        return []
    return _send(host, output, requests)


def settle(host: Host, output: Output, given: Namespace) -> Exit:
    """End what is uncertain as the user says. Raises BadInput, CommandEnd."""
    host = host.of_batch(given.batch)
    outbox = Outbox(host.outbox)
    answer = answer_in(arguments.read(given.answer)) if given.answer else b""
    with open_store(host.list_path, output) as store:
        tasks = lookup(store, given.tasks)
        if given.answer and len(tasks) > 1:
            raise BadInput("--answer is for a single task, and there are several.")
        for task in tasks:
            if task.status is Status.SENDING and outbox.state(task.task_id) is not State.SENDING:
                look = "the batch again" if given.batch else f"`wait {task.task_id}`"
                text = f"Nobody sends '{task.name}' any more: run {look} to see what became of it."
                raise BadInput(text)
            if task.status not in (Status.UNCERTAIN, Status.UNSENT, Status.REJECTED):
                what = "is being sent just now" if task.status is Status.SENDING else "was accepted by the service"
                raise BadInput(f"'{task.name}' {what}, so there is nothing to settle.")
        for task in tasks if given.discard else ():
            try:
                outbox.forget(task, store.forget)
            except (OutboxError, StatusChanged) as error:
                raise CommandEnd(Exit.TROUBLE, f"'{task.name}' was not discarded. {error}") from None
            output.tell("task", f"{task.task_id}  {task.name}  discarded", **describe(task))
        if given.answer:
            changed = store.change(tasks[0].task_id, settled(outbox, tasks[0], answer, store.tasks()))
            if unchecked := unchecked_text(tasks[0], answer):
                output.live(unchecked, time.time())
            hooks.changed(output, tasks[0], changed or tasks[0])
            output.task(changed or tasks[0])
    if given.again:
        _send_again(host, output, tasks)
    return Exit.DONE


def _requests(host: Host, given: Namespace, prompt: str) -> list[GenerationRequest]:
    """What is asked for, checked as far as can be before anything is sent. Raises BadInput."""
    check_allowed(host)
    if not 1 <= given.count <= MAX_AT_ONCE:
        raise BadInput(f"--count takes a number from 1 to {MAX_AT_ONCE}.")
    given_options = {name: getattr(given, f"option_{name}") for name in OPTIONS}
    options_now = chosen(host, {name: value for name, value in given_options.items() if value is not None})
    paths = tuple(path.expanduser().absolute() for path in given.image)
    wanted = submission(prompt, len(paths), options_now)
    for path in paths:
        _check_picture(path)
    names = [given.name] if given.count == 1 or not given.name else _numbered(given.name, given.count)
    return [
        GenerationRequest(new_task_id(), wanted.prompt, paths, wanted.options, names[number % len(names)])
        for number in range(given.count)
    ]


def chosen(host: Host, given: Mapping[str, object]) -> dict[str, Value]:
    """The settings' options with those that were given in their place. Raises BadInput."""
    set_ones = {name: _whole(host.value(f"{GENERATE}{name}")) for name in OPTIONS}
    for name, value in given.items():
        found = host.resolve(f"{GENERATE}{name}")
        if found.fixed and str(found.value).casefold() != str(value).casefold():
            raise BadInput(f"{OPTIONS[name].label} is fixed to '{found.value}' by {found.origin}.")
    return options.merged(set_ones, given)


def _whole(value: str | float | bool) -> Value:
    """A setting's value as an option's: those have no fractions."""
    return int(value) if isinstance(value, float) else value


def _check_picture(path: Path) -> None:
    try:
        with path.open("rb") as file:
            check_picture(path.name, file, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise BadInput(f"The picture {path} cannot be read: {os_reason(error)}.") from None


def _numbered(name: str, count: int) -> list[str]:
    return [f"{name} {number}" for number in range(1, count + 1)]


def check_allowed(host: Host) -> None:
    """Raises BadInput where tasks may be followed only."""
    if not host.value("allow_generation"):
        origin = host.resolve("allow_generation").origin
        raise BadInput(f"Generating is switched off here (allow_generation, by {origin}).")


def check_price(host: Host, price: float) -> None:
    """Raises BadInput for a task that is expected to cost more than is allowed."""
    limit = float(host.value("max_credits_per_task"))
    if limit and price > limit:
        origin = host.resolve("max_credits_per_task").origin
        raise BadInput(
            f"It would cost about {price:g} credits, and a task may cost {limit:g} (max_credits_per_task, by "
            f"{origin}). Choose another tier or fewer extras."
        )


def _describe_request(output: Output, request: GenerationRequest) -> None:
    pictures = tuple(Picture(path.name, "") for path in request.pictures)
    form = fields(replace(submission(request.prompt, len(pictures), request.options), pictures=pictures))
    price = options.price(request.options)
    words = "\n".join([f"{name}: {value}" for name, value in form] + [f"images: {path}" for path in request.pictures])
    members = {"fields": dict(form), "images": [str(path) for path in request.pictures], "price": price}
    output.tell("submission", f"{words}\nabout {price:g} credits", **members)


def _send(host: Host, output: Output, requests: list[GenerationRequest]) -> list[str]:
    """Returns the ids of tasks that were accepted, all of them. Raises CommandEnd where one was not."""
    with Follower(host, output) as follower:
        for request in requests:
            follower.tracker.generate(request)
        left = {request.task_id for request in requests}
        try:
            _until_settled(follower, output, left)
        except (CommandEnd, BadInput) as error:
            code = error.code if isinstance(error, CommandEnd) else Exit.USAGE
            # Something else may have ended it, such as a key that is refused for another task.
            if not (left or code is Exit.TROUBLE):
                raise CommandEnd(code, error.trouble) from None
            text = f"{output.voice.say(error.trouble.text)} {go_on(host)}"
            raise CommandEnd(code, Trouble(error.trouble.code, text)) from None
    return [request.task_id for request in requests]


def _until_settled(follower: Follower, output: Output, left: set[str]) -> None:
    """Until it is known of each task what became of its submission. Raises CommandEnd with the worst that was."""
    troubles: list[tuple[Exit, str]] = []
    reported: dict[str, int] = {}
    for message in follower.messages(float("inf")) if left else ():
        match message:
            case NotSubmitted(task_id, said) if task_id in left:
                left.remove(task_id)
                troubles.append((Exit.USAGE, output.voice.say(said, task=task_id)))
            case SubmissionProgress(task_id, sent, total) if task_id in left and total > 1_000_000:
                tenth = sent * 10 // total
                if reported.get(task_id) != tenth:
                    reported[task_id] = tenth
                    follower.live(f"{task_id}  {sent / 1e6:.1f} of {total / 1e6:.1f} MB sent")
            case TaskChanged(task) if task.task_id in left:
                if task.status.submitted or task.status in (Status.REJECTED, Status.UNCERTAIN):
                    left.remove(task.task_id)
                    output.task(task)
                    troubles += _trouble(output, task)
                elif task.status is Status.UNSENT and not task.next_check_at and task.trouble:
                    # The task waits for the user, such as after an hour without a network.
                    left.remove(task.task_id)
                    output.task(task)
                    troubles.append((Exit.TROUBLE, _said(output, task)))
                else:
                    follower.live_task(task)
            case TaskRemoved(task_id) if task_id in left:
                left.remove(task_id)
                troubles.append((Exit.TROUBLE, f"{task_id} was removed from the list."))
        if not left:
            break
    if troubles:
        raise CommandEnd(max(code for code, _ in troubles), " ".join(text for _, text in troubles))


def _trouble(output: Output, task: Task) -> list[tuple[Exit, str]]:
    if task.status is Status.UNCERTAIN:
        return [(Exit.UNCERTAIN, _said(output, task))]
    if task.status is Status.REJECTED:
        return [(Exit.FAILED, _said(output, task))]
    return []


def _said(output: Output, task: Task) -> str:
    return f"'{task.name}': {output.voice.say(task.trouble, task=task.task_id)}"


def _send_again(host: Host, output: Output, tasks: list[Task]) -> None:
    """What was not sent, and what is uncertain once more, which may be charged twice. Raises BadInput, CommandEnd."""
    check_allowed(host)
    check_price(host, max(task.price for task in tasks))
    for task in tasks:
        if task.status is Status.REJECTED:
            raise BadInput(f"'{task.name}' was rejected: change what was wrong, and `generate` it.")
    left: set[str] = set()
    check(host.settings.blocker)
    with Follower(host, output) as follower:
        for task in tasks:
            if task.status is Status.UNSENT:
                left.add(task.task_id)
                follower.tracker.send_now(task.task_id)
            else:
                left.add(new := new_task_id())
                follower.tracker.send_again(task.task_id, new)
        _until_settled(follower, output, left)
