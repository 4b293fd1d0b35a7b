"""Clocks that jump, by LD_PRELOAD in a follower's process, and processes that stand still, by SIGSTOP."""

from __future__ import annotations

import struct
import time
from pathlib import Path

from tools.faults.processes import NotSeen
from tools.faults.world import NotRun, Row, World, asked, one_done_one_half_done, recover, usual_course, wait_until
from tools.testing.disks import preloaded

HOUR = 3600


class _Clock:
    """The time of day of all followers of a world; what counts seconds only (the monotonic clock) goes on as it is."""

    def __init__(self, world: World) -> None:
        library = preloaded(Path(__file__).with_name("clock.c"), world.folder)
        if not library:
            raise NotRun("no Linux with a C compiler, for what moves a process's clock")
        self._file = world.folder / "clock"
        self.set(0)
        world.environment |= {"LD_PRELOAD": str(library), "RODIN_CLOCK": str(self._file)}

    def set(self, seconds: int) -> None:
        # In one write, into the file that the processes have mapped.
        with self._file.open("r+b" if self._file.exists() else "wb", buffering=0) as file:
            file.write(struct.pack("l", seconds))


def jumps(world: World) -> None:
    """Ten jumps, of up to a day."""
    clock = _Clock(world)

    def strike() -> None:
        for _ in range(10):
            clock.set(world.chance.randrange(-24 * HOUR, 24 * HOUR))
            time.sleep(0.2)

    usual_course(world, (strike, lambda: clock.set(0), ""))


def jumps_in_a_pause(world: World) -> None:
    """The service asks for a pause of 3 s, and then the clock jumps."""
    clock = _Clock(world)

    def strike() -> None:
        _fails_once(world, "429-seconds", "the service asked for a pause")
        time.sleep(0.5)
        clock.set(-3 * HOUR)

    usual_course(world, (strike, lambda: None, ""), patience=40.0)


def _fails_once(world: World, fault: str, what: str) -> None:
    before = len(world.simulator.asked("status"))
    world.simulator.fail("status", fault)
    wait_until(lambda: len(world.simulator.asked("status")) > before, what)


def suspended(world: World) -> None:
    """In the middle of a request, longer than every timeout."""
    process = world.process()
    running = one_done_one_half_done(world, process)
    _fails_once(world, "hang!", "a request hangs")
    process.freeze()
    time.sleep(5.0)
    world.simulator.mend("status")
    process.thaw()
    world.follow(process, world.task("Waiting"))
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


MOVED = "LD_PRELOAD of tools/faults/clock.c moves the running process's time of day"
ROWS = (
    Row("the clock jumps ten times by up to a day, and back", MOVED, jumps),
    Row("the clock is set 3 h back in a pause", MOVED, jumps_in_a_pause),
    Row("suspended in a request", "SIGSTOP for 5 s, where every timeout is 1 s, then SIGCONT", suspended),
    Row(
        "suspended while another goes on",
        "SIGSTOP for longer than a claim lasts, in a request; a second process has the same list",
        suspended_while_another_goes_on,
    ),
)
