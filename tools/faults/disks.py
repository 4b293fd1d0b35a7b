"""A disk that is full, and a list that is damaged while two processes have it open."""

from __future__ import annotations

import time

from tools.faults.processes import Process
from tools.faults.world import NotRun, Row, World, one_done_one_half_done, recover
from tools.testing.disks import fill, mounted


def disk_full(world: World) -> None:
    """A task that is tracked then is refused with a reason, and accepted afterwards."""
    disk = world.list.parent
    disk.mkdir()
    if not mounted(disk, "-t", "tmpfs", "-o", "size=512k", "tmpfs"):
        raise NotRun("needs root on Linux, to mount a file system")
    world.mounted.append(disk)
    process = world.process()
    running = one_done_one_half_done(world, process)
    filler = fill(disk)
    world.reads(process, running, "disk is full")
    newcomer = world.task("Waiting")
    process.do("follow", number=newcomer.number, answer=newcomer.answer)
    notice = process.event("notice")
    if "disk is full" not in notice.text or "not followed yet" not in notice.text:
        world.broken.append(f"recovered: of the task that could not be stored the user read: {notice.text}")
    filler.unlink()
    world.follow(process, newcomer)
    recover(world, process)
    world.recovered += "; the refused one was tracked again"


def _twelve(world: World) -> Process:
    """A list of twelve, six of them done."""
    process = world.process()
    for number in range(12):
        world.follow(process, world.task(*(("Done",) if number % 2 else ("Done", "Generating"))))
    for number, task in enumerate(world.tasks):
        world.gets(process, task, "DONE" if number % 2 else "GENERATING", 40.0)
    return process


def damaged_and_another_begins(world: World) -> None:
    """Another process finds the damage and sets the list aside. The first one still knows all of its tasks."""
    first = _twelve(world)
    with world.list.open("r+b") as file:
        for start in range(0, world.list.stat().st_size, 4096):
            file.seek(start + world.chance.randrange(100, 3000))
            file.write(world.chance.randbytes(200))
    second = world.process()
    world.messages.append(second.event("notice").text)
    time.sleep(3.0)
    there = sum(task.task_id in second.shown for task in world.tasks)
    world.state = f"{there} of 12 tasks are in the list again"
    recover(world, first)
    for task in world.tasks:
        world.gets(second, task, "DONE")


ROWS = (
    Row("disk full", "a file system of 512 kB is filled to its last byte", disk_full),
    Row(
        "the list damaged while open, found by another",
        "200 random bytes in each page of the open file, then a second process opens the list",
        damaged_and_another_begins,
    ),
)
