"""Real Blenders, without a window: what a user does in each phase of a request, quitting, four on one list."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

from tools import blenders, build
from tools.faults.connections import HEAD
from tools.faults.disks import FILES
from tools.faults.processes import Process
from tools.faults.world import NotRun, Row, Tracked, World, recover, wait_until
from tools.simulator import API_KEY
from tools.testing.sockets import hanging

BLENDER = "4.3"
LONGEST_QUIT = 5.0
"""Seconds, of which Blender itself takes some."""
_preparing = threading.Lock()


def begin(world: World) -> Process:
    """A Blender on the world's list."""
    executable, profile = _prepared(world.folder.parent)
    own = world.folder / "profile"
    if not own.exists():
        shutil.copytree(profile, own)
    (world.folder / "user").mkdir(exist_ok=True)
    environment = {
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
    """The program, and a profile that the built zip is installed in."""
    profile = folder / "profile-of-all"
    with _preparing:
        try:
            executable = blenders.blender(BLENDER).executable
        except blenders.NotAvailable as error:
            raise NotRun(str(error)) from None
        if not profile.exists():
            archive = build.build(executable, folder / "dist")
            part = folder / "profile-part"
            part.mkdir()
            command = [str(executable), "--command", "extension", "install-file", "-r", "user_default", "-e"]
            environment = {"BLENDER_USER_RESOURCES": str(part), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
            done = subprocess.run(
                [*command, str(archive)], env=environment, capture_output=True, text=True, check=False, timeout=120
            )
            if done.returncode:
                raise RuntimeError(f"the zip cannot be installed: {done.stdout[-500:]} {done.stderr[-500:]}")
            part.rename(profile)
    return executable, profile


# The phases of a request. Each brings a Blender into it, and says how it ends.


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
    taken = _hold(world, hanging())
    task = _followed(world, process)
    wait_until(taken.is_set, "the request is sent")
    return task


def half_of_the_answer(world: World, process: Process) -> Tracked:
    taken = _hold(world, hanging(HEAD + b'Content-Length: 90\r\n\r\n{"jobs": [{"uuid"'))
    task = _followed(world, process)
    wait_until(taken.is_set, "half of the answer is sent")
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


def _hold(world: World, handle: Callable[[socket.socket], None]) -> threading.Event:
    taken = threading.Event()

    def noted(connection: socket.socket) -> None:
        connection.recv(1, socket.MSG_PEEK)
        taken.set()
        handle(connection)

    world.gateway.strike(noted)
    return taken


def _followed(world: World, process: Process) -> Tracked:
    task = world.task("Done", "Generating")
    world.follow(process, task)
    return task


def _relieve(world: World) -> None:
    world.gateway.relieve()
    world.simulator.rate = None


PHASES = {
    "before connecting": before_connecting,
    "hung in connecting": hung_in_connect,
    "with the request sent": request_sent,
    "with half of the answer": half_of_the_answer,
    "in the middle of a file": in_a_download,
}
ACTS = {
    "load": ("a file is loaded", "`bpy.ops.wm.read_homefile`"),
    "undo": ("undo and redo", "`bpy.ops.ed.undo`, `redo`, `undo`"),
    "reload": ("the scripts are reloaded", "`bpy.ops.script.reload`"),
    "again": ("disabled and enabled", "`bpy.ops.preferences.addon_disable`, `addon_enable`"),
}


def act(world: World, phase: str, wish: str) -> None:
    process = begin(world)
    done = world.task("Done")
    world.follow(process, done)
    world.gets(process, done, "DONE")
    task = PHASES[phase](world, process)
    process.do(wish)
    process.event("did", what=wish, patience=40.0)
    _relieve(world)
    if not task.task_id:
        _find(process, task)
    process.until(lambda: task.task_id in process.shown, "the task is shown")
    time.sleep(0.3)
    world.note(process.shown[task.task_id])
    recover(world, process, patience=40.0)
    _ends_download(world, process, task)


def leave(world: World, phase: str) -> None:
    """Quit; then another Blender goes on."""
    process = begin(world)
    done = world.task("Done")
    world.follow(process, done)
    world.gets(process, done, "DONE")
    task = PHASES[phase](world, process)
    if not task.task_id:
        # What is asked of Blender before it quits, it does.
        process.event("did", what="follow")
    took = process.stop("quit")
    if took > LONGEST_QUIT:
        world.broken.append(f"nothing left: quitting took {took:.1f} s")
    _relieve(world)
    process = begin(world)
    if not task.task_id:
        _find(process, task)
    process.until(lambda: task.task_id in process.shown, "the task is shown")
    world.note(process.shown[task.task_id])
    recover(world, process, patience=40.0)
    _ends_download(world, process, task)
    world.recovered += f", in the next Blender; quitting took {took:.1f} s"


def _find(process: Process, task: Tracked) -> None:
    """The id of a task whose tracking was not awaited, by what it is called."""
    named = lambda: next((e.task_id for e in process.all("shown") if f"name={task.name!r}" in e.text), "")  # noqa: E731
    task.task_id = process.until(named, f"'{task.name}' is shown")


def _ends_download(world: World, process: Process, task: Tracked) -> None:
    if not world.simulator.asked("files"):
        return
    process.until(lambda: process.shown[task.task_id].saved, "its files are saved", 40.0)
    folder = world.list.parent / "downloads"
    saved = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}
    if saved != FILES:
        world.broken.append("kept: the saved files are not those of the service")


def closed_at_once(world: World) -> None:
    """Blender up to 4.3 leaves SIGPIPE as it is, which ends a program."""
    process = begin(world)
    running = world.task("Done", "Generating")
    world.follow(process, running)
    world.gets(process, running, "GENERATING")
    world.gateway.strike(lambda _connection: None)
    world.reads(process, running, "broke off")
    time.sleep(3.0)
    world.gateway.relieve()
    recover(world, process, patience=40.0)


def signalled(world: World) -> None:
    """Ctrl+C or a shutdown of the computer, in a request."""
    process = begin(world)
    task = request_sent(world, process)
    process.killed = True  # Its exit code is the signal's.
    process.signal(signal.SIGTERM)
    _relieve(world)
    process = begin(world)
    process.until(lambda: task.task_id in process.shown, "the task is shown")
    world.note(process.shown[task.task_id])
    # What it had claimed is free as its claim lapses.
    recover(world, process, patience=120.0)


def four_on_one_list(world: World) -> None:
    """One is killed while it asks about four tasks. The others go on, and take those over as its claims lapse."""
    first = begin(world)
    world.gateway.strike(hanging())
    claimed = [world.task("Done", "Generating") for _ in range(4)]
    for task in claimed:
        world.follow(first, task)
    time.sleep(1.0)
    first.kill()
    world.gateway.relieve()
    began = time.time()
    others = [begin(world) for _ in range(3)]
    for process in others:
        for _ in range(2):
            task = world.task("Done", "Generating")
            world.follow(process, task)
            world.gets(process, task, "GENERATING", 40.0)
    world.note(others[0].shown[claimed[0].task_id])
    for task in world.tasks:
        if task not in claimed:
            task.finish()
            world.gets(others[0], task, "DONE", 60.0)
    for task in claimed:
        task.finish()
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
    # A request arrives a moment after it was counted, so the minute is a second shorter here.
    busiest = max(sum(0 <= later.at - request.at < 59 for later in asked) for request in asked)
    if busiest > 60:
        world.broken.append(f"final: {busiest} status checks in a minute")
    world.recovered = f"by the others, {took:.0f} s after the kill; at most {busiest} checks in a minute"


def _rows() -> list[Row]:
    rows = []
    for phase in PHASES:
        for wish, (name, how) in ACTS.items():
            short = (wish, phase) in {
                ("load", "with the request sent"),
                ("undo", "with half of the answer"),
                ("reload", "in the middle of a file"),
                ("again", "hung in connecting"),
            }
            rows.append(Row(f"{name} {phase}", how, partial(act, phase=phase, wish=wish), short=short))
        rows.append(
            Row(
                f"quit {phase}",
                "the program's script ends, the extension enabled",
                partial(leave, phase=phase),
                short=phase in ("with the request sent", "in the middle of a file"),
            )
        )
    rows += [
        Row("a connection closed at once", "a gateway closes each connection as it is made", closed_at_once),
        Row("SIGTERM in a request", "the signal that a computer's shutdown sends", signalled, short=False, long=True),
        Row(
            "four on one list, one killed",
            "kill -9 while it asks about four tasks; then three others begin",
            four_on_one_list,
            short=False,
            long=True,
        ),
    ]
    return rows


ROWS = tuple(_rows())
