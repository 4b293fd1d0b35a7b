"""Real Blenders, without a window: what a user does in each phase of a request, quitting, four on one list."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tools import blenders, build
from tools.faults.processes import Process
from tools.faults.world import FILES, NotRun, Row, Tracked, World, recover, wait_until
from tools.simulator import API_KEY
from tools.testing.cuts import HEAD, Handle
from tools.testing.sockets import hanging

BLENDER = "4.3"
LONGEST_QUIT = 5.0
"""Seconds, of which Blender itself takes some."""
_preparing = threading.Lock()


def begin(world: World, **environment: str) -> Process:
    """A Blender on the world's list."""
    executable, profile = _prepared(world.folder.parent)
    own = world.folder / "profile"
    if not own.exists():
        shutil.copytree(profile, own)
    world.list.parent.mkdir(exist_ok=True)
    environment |= {
        "BLENDER_USER_RESOURCES": str(own),
        "RODIN_FOLDER": str(world.list.parent),
        "RODIN_API_URL": world.address,
        "RODIN_API_KEY": API_KEY,
        "RODIN_SHORTEST_INTERVAL": "1",
        "RODIN_LONGEST_INTERVAL": "1",
        "NO_PROXY": "127.0.0.1",
    }
    script = str(Path(__file__).with_name("in_blender.py"))
    command = [str(executable), "-b", "--python-exit-code", "1", "--python", script]
    return world.begin(f"Blender {len(world.processes) + 1}", command, environment)


def _prepared(folder: Path) -> tuple[Path, Path]:
    """The program, and a profile that the zip is installed in."""
    profile = folder / "profile-of-all"
    with _preparing:
        try:
            executable = blenders.blender(BLENDER).executable
        except blenders.NotAvailable as error:
            raise NotRun(str(error)) from None
        if not profile.exists():
            build.install(executable, build.given_or_built(executable, folder), profile)
    return executable, profile


# The phases of a request. Each brings a Blender into it.


def before_connecting(world: World, process: Process) -> Tracked:
    """Nothing of it is awaited: what comes next meets it as it was just tracked."""
    task = world.task("Done", "Generating")
    process.do("follow", number=task.number, answer=task.answer)
    return task


def hung_in_connect(world: World, process: Process) -> Tracked:
    world.gateway.fill()
    task = _followed(world, process)
    time.sleep(0.8)
    return task


def request_sent(world: World, process: Process) -> Tracked:
    return _held(world, process, hanging())


def half_of_the_answer(world: World, process: Process) -> Tracked:
    task = _held(world, process, hanging(HEAD + b'Content-Length: 90\r\n\r\n{"jobs": [{"uuid"'))
    time.sleep(0.1)
    return task


def in_a_download(world: World, process: Process) -> Tracked:
    world.simulator.rate = 40_000.0
    task = world.task("Done", files=FILES)
    world.follow(process, task)
    world.gets(process, task, "DONE")
    process.do("download", task_id=task.task_id)
    process.until(lambda: process.shown[task.task_id].loading, "a file is on its way")
    return task


def _held(world: World, process: Process, handle: Handle) -> Tracked:
    taken = threading.Event()

    def noted(connection: socket.socket) -> None:
        connection.recv(1, socket.MSG_PEEK)
        taken.set()
        handle(connection)

    world.gateway.strike(noted)
    task = _followed(world, process)
    wait_until(taken.is_set, "the request is sent")
    return task


def _followed(world: World, process: Process) -> Tracked:
    task = world.task("Done", "Generating")
    world.follow(process, task)
    return task


Phase = Callable[[World, Process], Tracked]
PHASES: tuple[Phase, ...] = (
    before_connecting,
    hung_in_connect,
    request_sent,
    half_of_the_answer,
    in_a_download,
)
ACTS = ("load", "undo", "reload", "again")
SHORT = (("load", request_sent), ("undo", half_of_the_answer), ("reload", in_a_download), ("again", hung_in_connect))


def acts(world: World) -> None:
    """Each act in each phase, in one Blender that goes on."""
    process = begin(world, RODIN_REQUESTS_PER_MINUTE="240")
    downloads: set[str] = set()
    for wish, phase in SHORT if world.short else [(wish, phase) for wish in ACTS for phase in PHASES]:
        task = phase(world, process)
        before = len(process.all("did"))
        process.do(wish)
        process.until(
            lambda wish=wish, before=before: any(did.what["what"] == wish for did in process.all("did")[before:]),
            f"'{wish}' is done", 40.0,
        )  # fmt: skip
        _goes_on(world, process, task)
        downloads |= {task.task_id} if phase is in_a_download else set()
    world.check_models(len(downloads))


def leave(world: World) -> None:
    """Quit in each phase; another Blender goes on each time."""
    process, longest = begin(world, RODIN_REQUESTS_PER_MINUTE="240"), 0.0
    phases = (request_sent, in_a_download) if world.short else PHASES
    for phase in phases:
        task = phase(world, process)
        if not task.task_id:
            # What is asked of Blender before it quits, it does.
            process.event("did", what="follow")
        longest = max(longest, process.stop("quit"))
        world.gateway.relieve()
        process = begin(world, RODIN_REQUESTS_PER_MINUTE="240")
        _goes_on(world, process, task)
    if longest > LONGEST_QUIT:
        world.broken.append(f"nothing left: quitting took {longest:.1f} s")
    world.check_models(1)
    world.recovered += f", in the next Blender; quitting took {longest:.1f} s at most"


def _goes_on(world: World, process: Process, task: Tracked) -> None:
    """The fault is taken away, and a task goes on to its end, its download, too."""
    loading = world.simulator.rate is not None
    world.gateway.relieve()
    world.simulator.rate = None
    if not task.task_id:
        # Its tracking was not awaited: it is known by what it is called.
        like = f"name={task.name!r}"
        named = lambda: next((e.task_id for e in process.all("shown") if like in e.text), "")  # noqa: E731
        task.task_id = process.until(named, f"'{task.name}' is shown")
    process.until(lambda: task.task_id in process.shown, "the task is shown")
    time.sleep(0.3)
    world.note(process.shown[task.task_id])
    recover(world, process, 40.0)
    if loading:
        process.until(lambda: process.shown[task.task_id].saved, "its files are saved", 40.0)


def four_on_one_list(world: World) -> None:
    """One is killed while it asks about four tasks. The others go on, and take those over as its claims lapse."""
    first = begin(world)
    world.gateway.strike(hanging())
    claimed = [_followed(world, first) for _ in range(4)]
    time.sleep(1.0)
    first.kill()
    world.gateway.relieve()
    began = time.time()
    others = [begin(world) for _ in range(3)]
    for process in others:
        for _ in range(2):
            world.gets(process, _followed(world, process), "GENERATING", 40.0)
    world.note(others[0].shown[claimed[0].task_id])
    for task in world.tasks:
        task.finish()
    for task in sorted(world.tasks, key=lambda task: task in claimed):
        world.gets(others[0], task, "DONE", 120.0)
    took = time.time() - began
    for process in others:
        for task in world.tasks:
            world.gets(process, task, "DONE")
    asked = world.simulator.asked("status")
    for task in world.tasks:
        times = [request.at for request in asked if request.subscription_key == task.key]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        if gaps and min(gaps) < 0.5:
            world.broken.append(f"final: '{task.name}' was asked about by two at once ({min(gaps):.2f} s apart)")
    # A request arrives some moments after it was counted, on a busy machine seconds: so the minute is shorter here.
    busiest = max(sum(0 <= later.at - request.at < 55 for later in asked) for request in asked)
    if busiest > 60:
        world.broken.append(f"final: {busiest} status checks in a minute")
    world.recovered = f"by the others, {took:.0f} s after the kill; at most {busiest} checks in a minute"


ROWS = (
    Row(
        "files loaded, undo and redo, scripts reloaded, disabled and enabled",
        "before connecting, hung in it, with the request sent, with half of the answer, in the middle of a file",
        acts,
    ),
    Row("quit in each of these phases", "the program's script ends, the extension enabled", leave),
    Row(
        "four on one list, one killed",
        "kill -9 while it asks about four tasks; then three others begin",
        four_on_one_list,
        short=False,
        long=True,
    ),
)
