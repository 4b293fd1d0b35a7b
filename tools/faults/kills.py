"""kill -9 at random moments of tracking and downloading, of a real Blender and of a process without one."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from tools.faults import blenders, invariants
from tools.faults.processes import Process
from tools.faults.world import FILES, Row, World, recover

LONGEST_LIFE = 2.5
CLAIMS_LAPSE = 130.0
"""Seconds within which whatever a killed one had claimed is asked about by another."""


def killed(world: World, times: int, begin: Callable[[World], Process], patience: float) -> None:
    """So many lives, each with two new tasks and a download; then one that goes on to the end."""
    world.simulator.rate = 200_000.0
    pressed: set[str] = set()
    for number in range(times):
        process = begin(world)
        _live(world, process, world.chance.uniform(0.0, LONGEST_LIFE), pressed)
        process.kill()
        for event in process.all("followed"):
            world.tasks[event.number].task_id = event.task_id
        for broken in invariants.not_kept(world):
            world.broken.append(f"kept: after kill {number + 1}: {broken}")
    acknowledged = [task for task in world.tasks if task.task_id]
    process = begin(world)
    process.until(lambda: {task.task_id for task in acknowledged} <= process.shown.keys(), "the list is shown")
    open_ones = sum(process.shown[task.task_id].status != "DONE" for task in acknowledged)
    world.state = f"all {len(acknowledged)} acknowledged tasks are in the list, {open_ones} of them not done yet"
    world.simulator.rate = None
    recover(world, process, patience)
    for task_id in pressed:
        # A press that a kill came before is pressed again; all others go on by themselves.
        if not process.shown[task_id].saved:
            _press(world, process, task_id)
        process.until(lambda task_id=task_id: process.shown[task_id].saved, "pressed downloads are saved", 60.0)
    world.check_models(len(pressed))
    world.recovered += f"; {len(pressed)} downloads whole"


def _live(world: World, process: Process, seconds: float, pressed: set[str]) -> None:
    end = time.monotonic() + seconds
    for task in (world.task("Done", "Generating"), world.task("Done", files=FILES)):
        process.do("follow", number=task.number, answer=task.answer)
    while time.monotonic() < end:
        for event in list(process.shown.values()):
            if event.status == "DONE" and not event.saved and event.task_id not in pressed:
                pressed.add(event.task_id)
                _press(world, process, event.task_id)
        time.sleep(0.02)


def _press(world: World, process: Process, task_id: str) -> None:
    process.do("download", task_id=task_id, folder=str(world.downloads))


def without_blender(world: World) -> None:
    world.options |= {"claim_lasts": 3.0}
    killed(world, 6 if world.short else 30, World.process, 60.0)


ROWS = (
    *(
        Row(
            f"Blender killed at 25 random moments ({number} of 2)",
            "kill -9, up to 2.5 s after it could be used; the list is checked from outside after each",
            partial(killed, times=25, begin=blenders.begin, patience=CLAIMS_LAPSE),
            short=False,
            long=True,
        )
        for number in (1, 2)
    ),
    Row(
        "a process without Blender killed at 30 random moments",
        "the same, with the command line's tracker",
        without_blender,
        long=True,
    ),
)
