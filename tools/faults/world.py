"""What a fault happens in: a simulated service, a list of tasks, and processes that follow them."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.blenders import ROOT
from tools.faults.gateway import Gateway
from tools.faults.processes import Event, NotSeen, Process
from tools.simulator import API_KEY, Simulator

TIMEOUT = 1.0
PACE = (0.3, 0.6, 1200.0)


class NotRun(Exception):
    """This machine cannot have that fault; the text says why."""


@dataclass
class Tracked:
    """A task of the simulator. It is done when `finish` was called, not before."""

    number: int
    name: str
    story: list[list[tuple[float, str]]]
    answer: dict[str, Any]
    task_id: str = ""
    """Set once its tracking was acknowledged."""
    lost: bool = False
    """Whether the list no longer has it, and the user was told so. Only where the list itself was damaged."""

    @property
    def key(self) -> str:
        return str(self.answer["jobs"]["subscription_key"])

    def finish(self) -> None:
        for moments in self.story:
            moments[:] = [(0.0, "Done")]


@dataclass
class World:
    folder: Path
    simulator: Simulator
    chance: random.Random
    gateway: Gateway
    processes: list[Process] = field(default_factory=list)
    tasks: list[Tracked] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    prefix: list[str] = field(default_factory=list)
    """What goes before the command of a follower."""
    host: str = "127.0.0.1"
    gateways: list[Gateway] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    """What is nobody's to read, beside the keys."""
    short: bool = False
    pictures: tuple[Path, ...] = ()
    """Of each submission, in their order."""
    list_lost: bool = False
    """Whether the list was deleted, damaged or replaced by an older one: then tasks are followed from anew."""
    told_lost: bool = False
    """Whether tasks may be missing, since the user was told so and the damaged list was kept."""
    # What the row says in the end.
    state: str = ""
    message: str = ""
    recovered: str = ""
    lost: str = "nothing"
    broken: list[str] = field(default_factory=list)
    """What the row itself found broken, beside the invariants."""

    @property
    def list(self) -> Path:
        return self.folder / "user" / "tasks.sqlite"

    @property
    def address(self) -> str:
        return f"{'https' if self.gateway.tls else 'http'}://{self.host}:{self.gateway.port}/api/v2"

    def task(self, *ends: str, name: str = "", files: dict[str, bytes] | None = None) -> Tracked:
        """A task with these jobs, as they are now."""
        number = len(self.tasks)
        name = name or f"Model {number}"
        story = [[(0.0, word)] for word in ends]
        answer = self.simulator.add(story, prompt=name, files=files or {})
        self.tasks.append(Tracked(number, name, story, answer))
        return self.tasks[-1]

    def process(self, **options: Any) -> Process:
        """A follower without Blender, begun."""
        usual = {"list": str(self.list), "address": self.address, "api_key": API_KEY, "timeout": TIMEOUT, "pace": PACE}
        given = json.dumps({**usual, **self.options, **options})
        command = [*self.prefix, sys.executable, "-m", "tools.faults.follower", given]
        return self.begin(f"follower {len(self.processes) + 1}", command, {})

    def begin(self, name: str, command: list[str], environment: dict[str, str]) -> Process:
        plain = {n: v for n, v in os.environ.items() if not n.lower().endswith("_proxy")}
        environment = {**plain, "PYTHONPATH": str(ROOT), **self.environment, **environment}
        self.processes.append(Process(name, command, environment, ROOT).begin())
        self.processes[-1].event("ready", 60.0)
        return self.processes[-1]

    def follow(self, process: Process, task: Tracked) -> str:
        """Have it followed. Returns the id in the list, once the list has it."""
        process.do("follow", number=task.number, answer=task.answer)
        task.task_id = process.event("followed", number=task.number).task_id
        return task.task_id

    def gets(self, process: Process, task: Tracked, status: str, patience: float = 25.0) -> Event:
        def shown() -> Event | None:
            event = process.shown.get(task.task_id)
            return event if event and event.status == status else None

        last = lambda: process.shown.get(task.task_id)  # noqa: E731
        try:
            return process.until(shown, f"'{task.name}' is {status}", patience)  # type: ignore[no-any-return]
        except NotSeen as error:
            seen = last()
            raise NotSeen(f"{error}; shown is {seen.status + ': ' + seen.message if seen else 'nothing'}") from None

    def reads(self, process: Process, task: Tracked, words: str, patience: float = 25.0) -> Event:
        """Until the user reads these words of a task; "" for no message."""

        def shown() -> Event | None:
            event = process.shown.get(task.task_id)
            return event if event and (words in event.message if words else not event.message) else None

        try:
            event: Event = process.until(shown, f"'{words}' is read of '{task.name}'", patience)
        except NotSeen as error:
            seen = process.shown.get(task.task_id)
            raise NotSeen(f"{error}; read is '{seen.message if seen else ''}'") from None
        self.note(event)
        return event

    def note(self, event: Event) -> None:
        self.state = f"{event.status}, {event.jobs_done} of its jobs done"
        self.message = event.message

    def end(self) -> None:
        for process in self.processes:
            process.stop()
        for gateway in (self.gateway, *self.gateways):
            gateway.close()


Run = Callable[[World], None]


@dataclass(frozen=True)
class Row:
    """A fault: what it is, how it is injected, and what does so, observes, and takes it away again."""

    name: str
    how: str
    run: Run
    short: bool = True
    """Whether it belongs to the short form, too."""
    long: bool = False
    """Whether it takes minutes, and so begins before the others."""


def usual_course(
    world: World,
    strike: Callable[[], None],
    relieve: Callable[[], None],
    says: str,
    *,
    remedy: str = "",
    late: bool = True,
    patience: float = 25.0,
) -> None:
    """One task done, one half done; then the fault, in which a third is tracked; then all go on to their ends.

    `says` are words that the user must read; "" where there is nothing to be read. With the `remedy` "check_now" the
    user does what the message says, else all goes on by itself.
    """
    process = world.process()
    running = one_done_one_half_done(world, process)
    strike()
    began = time.time()
    if says:
        world.reads(process, running, says, patience)
    else:
        asked_again(world, running, began)
        world.note(process.shown[running.task_id])
    if late:
        newcomer = world.task("Waiting")
        world.follow(process, newcomer)
        asked_or_told(world, process, newcomer)
    relieve()
    recover(world, process, remedy, patience)


def one_done_one_half_done(world: World, process: Process) -> Tracked:
    """Have two tasks followed, one to its end. Returns the other."""
    done, running = world.task("Done"), world.task("Done", "Generating")
    world.follow(process, done)
    world.gets(process, done, "DONE")
    world.follow(process, running)
    world.gets(process, running, "GENERATING")
    return running


def recover(world: World, process: Process, remedy: str = "", patience: float = 25.0) -> None:
    began = time.monotonic()
    for task in world.tasks:
        task.finish()
    if remedy:
        time.sleep(TIMEOUT)  # Who presses has read the last answer: none is under way.
        process.do(remedy, task_ids=[task.task_id for task in world.tasks if task.task_id])
    for task in world.tasks:
        if task.task_id and not task.lost:
            world.gets(process, task, "DONE", patience)
    how = "after Check Now" if remedy == "check_now" else "by itself"
    world.recovered = f"{how}, {time.monotonic() - began:.0f} s"


def asked_again(world: World, task: Tracked, after: float, times: int = 2) -> None:
    wait_until(
        lambda: sum(a.at > after and a.subscription_key == task.key for a in asked(world)) >= times,
        f"'{task.name}' is asked about again",
    )


def asked_or_told(world: World, process: Process, task: Tracked) -> None:
    """Until something came of a new task: it was asked about, or the user reads why not."""

    def condition() -> bool:
        event = process.shown.get(task.task_id)
        return any(a.subscription_key == task.key for a in asked(world)) or bool(event and event.message)

    wait_until(condition, f"something came of '{task.name}'")


def asked(world: World) -> Iterable[Any]:
    return world.simulator.asked("status")


def wait_until(condition: Callable[[], object], what: str, patience: float = 25.0) -> None:
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise NotSeen(f"not within {patience:g} s: {what}")
        time.sleep(0.02)
