"""What a fault happens in: a simulated service, a list of tasks, and processes that follow them."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.blenders import ROOT
from tools.faults.gateway import Gateway
from tools.faults.processes import PATIENCE, Event, NotSeen, Process, without_proxies
from tools.simulator import API_KEY, Simulator
from tools.testing.disks import glb

TIMEOUT = 1.0
PACE = (0.3, 0.6, 1200.0)
MODEL = "base_basic_pbr.glb"
FILES = {MODEL: glb(200_000), "texture_diffuse.png": b"\x89PNG\r\n\x1a\n" + bytes(60_000)}


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
    short: bool = False
    processes: list[Process] = field(default_factory=list)
    tasks: list[Tracked] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    host: str = "127.0.0.1"
    gateways: list[Gateway] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    """What is nobody's to read, beside the keys."""
    pictures: tuple[Path, ...] = ()
    """Of each submission, in their order."""
    list_lost: bool = False
    """Whether the list was deleted, damaged or replaced by an older one: then tasks are followed from anew."""
    # What the row says in the end.
    state: str = ""
    messages: list[str] = field(default_factory=list)
    recovered: str = ""
    broken: list[str] = field(default_factory=list)
    """What the row itself found broken, beside the invariants."""

    @property
    def list(self) -> Path:
        return self.folder / "user" / "tasks.sqlite"

    @property
    def downloads(self) -> Path:
        return self.list.parent / "downloads"

    @property
    def address(self) -> str:
        return f"{'https' if self.gateway.tls else 'http'}://{self.host}:{self.gateway.port}/api/v2"

    def task(self, *ends: str, files: dict[str, bytes] | None = None) -> Tracked:
        """A task with these jobs, as they are now."""
        name = f"Model {len(self.tasks)}"
        story = [[(0.0, word)] for word in ends]
        answer = self.simulator.add(story, prompt=name, files=files or {})
        self.tasks.append(Tracked(len(self.tasks), name, story, answer))
        return self.tasks[-1]

    def process(self, **options: Any) -> Process:
        """A follower without Blender, begun."""
        usual = {"list": str(self.list), "address": self.address, "api_key": API_KEY, "timeout": TIMEOUT, "pace": PACE}
        given = json.dumps({**usual, **self.options, **options})
        command = [sys.executable, "-m", "tools.faults.follower", given]
        return self.begin(f"follower {len(self.processes) + 1}", command, {})

    def begin(self, name: str, command: list[str], environment: dict[str, str]) -> Process:
        environment = {**without_proxies(), "PYTHONPATH": str(ROOT), **self.environment, **environment}
        self.processes.append(Process(name, command, environment, ROOT).begin())
        self.processes[-1].event("ready", 60.0)
        return self.processes[-1]

    def follow(self, process: Process, task: Tracked) -> str:
        """Have it followed. Returns the id in the list, once the list has it."""
        process.do("follow", number=task.number, answer=task.answer)
        task.task_id = process.event("followed", number=task.number).task_id
        return task.task_id

    def gets(self, process: Process, task: Tracked, status: str, patience: float = PATIENCE) -> Event:
        return self._sees(process, task, lambda event: event.status == status, f"is {status}", patience)

    def reads(self, process: Process, task: Tracked, words: str, patience: float = PATIENCE) -> Event:
        """Until the user reads these words of a task; "" for no message."""
        like = lambda event: words in event.message if words else not event.message  # noqa: E731
        event = self._sees(process, task, like, f"says '{words}'", patience)
        self.note(event)
        return event

    def _sees(
        self, process: Process, task: Tracked, like: Callable[[Event], bool], what: str, patience: float
    ) -> Event:
        last = lambda: process.shown.get(task.task_id)  # noqa: E731
        try:
            found: Event = process.until(
                lambda: (event := last()) and like(event) and event, f"'{task.name}' {what}", patience
            )
        except NotSeen as error:
            seen = last()
            raise NotSeen(f"{error}; shown is {f'{seen.status}: {seen.message}' if seen else 'nothing'}") from None
        return found

    def note(self, event: Event) -> None:
        self.state = f"{event.status}, {event.jobs_done} of its jobs done"
        if event.message and event.message not in self.messages:
            self.messages.append(event.message)

    def check_models(self, count: int) -> None:
        """That so many were downloaded, each whole."""
        found = [path.read_bytes() for path in self.list.parent.rglob(MODEL)]
        if len(found) != count or any(content != FILES[MODEL] for content in found):
            self.broken.append(f"kept: {count} models were downloaded, {len(found)} are there or not whole")

    def end(self) -> None:
        for process in self.processes:
            process.stop()
        for gateway in (self.gateway, *self.gateways):
            gateway.refuse()


@dataclass(frozen=True)
class Row:
    """A fault: what it is, how it is injected, and what does so, observes, and takes it away again."""

    name: str
    how: str
    run: Callable[[World], None]
    short: bool = True
    """Whether it belongs to the short form, too."""
    long: bool = False
    """Whether it takes minutes, and so begins before the others."""


Fault = tuple[Callable[[], object], Callable[[], object], str]
"""What brings it, what takes it away, and words that the user must read meanwhile; "" where there are none."""


def usual_course(world: World, *faults: Fault, patience: float = PATIENCE) -> None:
    """One task done, one half done; then the faults, in the last of which a third is tracked; then all go on to their
    ends by themselves."""
    process = world.process()
    running = one_done_one_half_done(world, process)
    for number, (strike, relieve, says) in enumerate(faults, 1):
        strike()
        if says:
            world.reads(process, running, says, patience)
        else:
            asked_again(world, running, time.time())
            world.note(process.shown[running.task_id])
        if number == len(faults):
            newcomer = world.task("Waiting")
            world.follow(process, newcomer)
            asked_or_told(world, process, newcomer)
        relieve()
        if number < len(faults):
            world.reads(process, running, "", patience)
    recover(world, process, patience)


def one_done_one_half_done(world: World, process: Process) -> Tracked:
    """Have two tasks followed, one to its end. Returns the other."""
    for ends, status in ((("Done",), "DONE"), (("Done", "Generating"), "GENERATING")):
        world.follow(process, world.task(*ends))
        world.gets(process, world.tasks[-1], status)
    return world.tasks[-1]


def recover(world: World, process: Process, patience: float = PATIENCE) -> None:
    began = time.monotonic()
    for task in world.tasks:
        task.finish()
    for task in world.tasks:
        if task.task_id:
            world.gets(process, task, "DONE", patience)
    world.recovered = f"by itself, {time.monotonic() - began:.0f} s"


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


def wait_until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise NotSeen(f"not within {patience:g} s: {what}")
        time.sleep(0.02)
