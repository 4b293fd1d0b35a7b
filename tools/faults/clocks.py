"""Clocks that jump, by LD_PRELOAD in a follower's process, and processes that stand still, by SIGSTOP."""

from __future__ import annotations

import shutil
import sqlite3
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from tools.faults.processes import NotSeen
from tools.faults.world import NotRun, Row, World, asked, recover, usual_course, wait_until

HOUR = 3600


_building = threading.Lock()


def _library(folder: Path) -> Path:
    """What moves the clock of a process, built from clock.c."""
    built = folder / "clock.so"
    with _building:
        if not built.exists():
            compiler = shutil.which("cc") or shutil.which("gcc")
            if not compiler:
                raise NotRun("no C compiler on this machine, for what moves a process's clock")
            source = str(Path(__file__).with_name("clock.c"))
            command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(built), source, "-ldl"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise NotRun(f"clock.c cannot be built: {done.stderr.strip()[-200:]}")
    return built


class _Clock:
    """The time of day of all followers of a world; what counts seconds only (the monotonic clock) goes on as it is."""

    def __init__(self, world: World) -> None:
        self._file = world.folder / "clock"
        self._file.write_bytes(struct.pack("l", 0))
        world.environment |= {"LD_PRELOAD": str(_library(world.folder.parent)), "RODIN_CLOCK": str(self._file)}

    def set(self, seconds: int) -> None:
        with self._file.open("r+b", buffering=0) as file:
            file.write(struct.pack("l", seconds))


    def jump(self, world: World, seconds: int) -> None:
        """Set it, and wait until the follower has noted a check at such a time."""
        self.set(seconds)

        def noted() -> bool:
            with closing(sqlite3.connect(world.list)) as db:
                return any(abs(at - time.time() - seconds) < 60 for (at,) in db.execute("SELECT checked_at FROM task"))

        wait_until(noted, "a check at the clock's time is noted")


def jump(world: World, seconds: int) -> None:
    clock = _Clock(world)
    usual_course(world, lambda: clock.jump(world, seconds), lambda: clock.set(0), "")


def jump_for_good(world: World, seconds: int) -> None:
    clock = _Clock(world)
    usual_course(world, lambda: clock.jump(world, seconds), lambda: None, "")


def jump_in_a_pause(world: World, seconds: int) -> None:
    """The service asks for a pause of 3 s, and then the clock jumps."""
    clock = _Clock(world)

    def strike() -> None:
        world.simulator.fail("status", "429-seconds")
        before = len(world.simulator.asked("status"))
        wait_until(lambda: len(world.simulator.asked("status")) > before, "the service asked for a pause")
        time.sleep(0.5)
        clock.set(seconds)

    usual_course(world, strike, lambda: None, "", patience=40.0)


def jumps(world: World) -> None:
    """Ten jumps, of up to a day."""
    clock = _Clock(world)

    def strike() -> None:
        for _ in range(10):
            clock.set(world.chance.randrange(-24 * HOUR, 24 * HOUR))
            time.sleep(0.2)

    usual_course(world, strike, lambda: clock.set(0), "")


def suspended(world: World, hanging: bool) -> None:
    """Longer than every timeout, once in the middle of a request."""
    process = world.process()
    done, running = world.task("Done"), world.task("Done", "Generating")
    for task, status in ((done, "DONE"), (running, "GENERATING")):
        world.follow(process, task)
        world.gets(process, task, status)
    if hanging:
        world.simulator.fail("status", "hang!")
        before = len(world.simulator.asked("status"))
        wait_until(lambda: len(world.simulator.asked("status")) > before, "a request hangs")
    process.freeze()
    time.sleep(5.0)
    world.simulator.mend("status")
    process.thaw()
    newcomer = world.task("Waiting")
    world.follow(process, newcomer)
    world.note(process.shown[running.task_id])
    recover(world, process)


def suspended_while_another_goes_on(world: World) -> None:
    """Its claim lapses, another takes the task over and ends it; what the first one brings then is too late."""
    world.options |= {"claim_lasts": 3.0}
    first, second = world.process(), world.process()
    task = world.task("Done", "Generating")
    world.follow(first, task)
    world.gets(first, task, "GENERATING")
    task.story[1][:] = [(0.0, "Waiting")]
    world.simulator.fail("status", "hang!")
    began = time.time()
    wait_until(lambda: any(a.at > began for a in asked(world)), "a request hangs")
    # Whoever has not asked would ask as soon as it can: the one that asked is frozen, as it holds the claim.
    time.sleep(0.3)
    first.freeze()
    second.freeze()
    world.simulator.mend("status")
    task.finish()
    time.sleep(3.5)
    second.thaw()
    try:
        world.gets(second, task, "DONE")
    finally:
        first.thaw()
    world.gets(first, task, "DONE")
    world.note(first.shown[task.task_id])
    before = len(world.simulator.asked("status"))
    time.sleep(2.0)
    if len(world.simulator.asked("status")) != before:
        raise NotSeen("quiet after the end")
    world.recovered = "by itself: the other one ended it, and both show so"


def _rows() -> list[Row]:
    how = "LD_PRELOAD of tools/faults/clock.c moves the running process's time of day"
    times: list[tuple[str, Callable[[World], None], bool]] = [
        ("the clock jumps 5 h forward, and back", partial(jump, seconds=5 * HOUR), True),
        ("the clock jumps 5 h back, and forward", partial(jump, seconds=-5 * HOUR), True),
        ("the clock is set 3 days forward", partial(jump_for_good, seconds=72 * HOUR), False),
        ("the clock is set 3 days back", partial(jump_for_good, seconds=-72 * HOUR), False),
        ("the clock is set 3 h back in a pause", partial(jump_in_a_pause, seconds=-3 * HOUR), True),
        ("the clock is set 3 h forward in a pause", partial(jump_in_a_pause, seconds=3 * HOUR), False),
        ("the clock jumps ten times by up to a day", jumps, True),
    ]
    stopped = "SIGSTOP for 5 s, where every timeout is 1 s, then SIGCONT"
    return [
        *(Row(name, how, run, short=short) for name, run, short in times),
        Row("suspended between two requests", stopped, partial(suspended, hanging=False)),
        Row("suspended in a request", stopped, partial(suspended, hanging=True)),
        Row(
            "suspended while another goes on",
            "SIGSTOP for longer than a claim lasts, in a request; a second process has the same list",
            suspended_while_another_goes_on,
        ),
    ]


ROWS = tuple(_rows())
