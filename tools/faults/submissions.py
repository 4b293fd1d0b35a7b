"""kill -9 at random moments from the press of Generate to the stored answer, with the list lost or damaged in between.

The service counts; what must hold then stands in invariants.py.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from tools.faults import blenders, invariants
from tools.faults.processes import NotSeen, Process
from tools.faults.world import Row, World
from tools.testing.pictures import large_file, png_file

UPLOAD_RATES = (None, 4_000_000.0, 12_000_000.0)
"""Bytes a second. On a slow line most kills meet the upload, on a fast one the disk."""
PASSING_FAULTS = ("closed-in-upload", "taken-and-closed", "429", "refused-parallelism-limit-reached")
KILLS, LIST_EVERY = 50, 6
"""How many, and how many lie between two losses of the list; in the short form there is one of each."""
SENT_AFTERWARDS = 3
LONGEST_LIFE = 1.2
"""Of the time from the press to being accepted, as the first one took it."""
FIRST_SENT = 30.0
"""Seconds within which a submission is accepted on a busy machine, too."""


def killed(world: World) -> None:
    """So many lives, each with a submission; then one in which nothing is lost."""
    times, list_every = (1, 1) if world.short else (KILLS, LIST_EVERY)
    world.simulator.story, world.simulator.result_files, world.simulator.balance = [[(0.0, "Done")]], {}, 1000.0
    world.environment |= {"RODIN_IMPORT_WHEN_DONE": "false", "RODIN_DOWNLOAD_WHEN_DONE": "false"}
    world.pictures = (png_file(world.folder / "front.png"), large_file(world.folder / "side.png", 3_000_000))
    (world.folder / "copies").mkdir()
    whole = _live(world, "wish 0", FIRST_SENT)
    losses = 0
    for number in range(1, times + 1):
        _a_minute_passes(world)
        world.simulator.upload_rate = world.chance.choice(UPLOAD_RATES)
        if world.chance.random() < 0.2:
            world.simulator.fail("rodin", world.chance.choice(PASSING_FAULTS))
        _live(world, f"wish {number}", world.chance.uniform(0.0, LONGEST_LIFE) * whole)
        if number % list_every == 0:
            _lose_list(world, losses)
            losses += 1
    world.simulator.upload_rate = None
    world.simulator.mend("rodin")
    _go_on(world, times, losses)


def _live(world: World, prompt: str, seconds: float) -> float:
    """Begin a Blender and kill it so many seconds after the press at the latest. Returns after how many it did."""
    process = blenders.begin(world)
    began = time.monotonic()
    process.do("generate", prompt=prompt, images=[str(path) for path in world.pictures])
    with suppress(NotSeen):
        process.until(lambda: _is_accepted(process, prompt), "it is accepted", seconds)
    took = time.monotonic() - began
    if not process.alive:
        world.broken.append(f"nothing left: Blender ended by itself while it sent '{prompt}'")
    process.kill()
    return took


def _is_accepted(process: Process, prompt: str) -> bool:
    return any(
        event.status not in ("UNSENT", "SENDING") and f"prompt={prompt!r}" in event.text
        for event in [*process.shown.values()]
    )


def _a_minute_passes(world: World) -> None:
    """As for the budget of requests: the lives of a user lie further apart."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(world.list, isolation_level=None)) as db:
        db.execute("DELETE FROM request")


def _lose_list(world: World, number: int) -> None:
    """Delete the list, put an older copy in its place, or damage it, in turn."""
    copy = world.folder / "copies" / "tasks.sqlite"
    world.list_lost = True
    if number % 3 == 2:
        with world.list.open("r+b") as file:
            file.seek(world.chance.randrange(0, max(world.list.stat().st_size - 4096, 1)))
            file.write(world.chance.randbytes(4096))
        return
    Path(f"{world.list}-journal").unlink(missing_ok=True)
    if number % 3 == 0:
        shutil.copy(world.list, copy)
        world.list.unlink()
    else:
        shutil.copy(copy, world.list)


def _go_on(world: World, times: int, losses: int) -> None:
    """One more life: all that was accepted is there, and what was not sent can be."""
    _a_minute_passes(world)
    process = blenders.begin(world)
    accepted = {sent.task_uuid for sent in world.simulator.submissions if not sent.outcome}

    def known() -> bool:
        shown = [event.status for event in process.shown.values()]
        return sum(status not in ("UNSENT", "SENDING", "REJECTED") for status in shown) >= len(accepted)

    process.until(known, "all that was accepted is in the list", 60.0)
    process.until(lambda: all(e.status != "SENDING" for e in process.shown.values()), "nothing is being sent", 30.0)
    by_status: dict[str, list[str]] = {}
    for event in process.shown.values():
        by_status.setdefault(event.status, []).append(event.task_id)
        if event.status == "UNCERTAIN" and not world.messages:
            world.note(event)
    uncertain, unsent = len(by_status.get("UNCERTAIN", ())), by_status.get("UNSENT", [])
    followed = sum(len(ids) for status, ids in by_status.items() if status not in invariants.NOT_ACCEPTED)
    world.state = (
        f"of {times + 1} submissions {len(accepted)} were accepted, each once; {followed} are followed, {uncertain} "
        f"uncertain, {len(unsent)} kept and not sent; the list was lost {losses} times"
    )
    for task_id in unsent[:SENT_AFTERWARDS]:
        process.do("send_now", task_id=task_id)
        process.until(lambda id_=task_id: process.shown[id_].status == "DONE", "what was not sent is sent", 60.0)
    world.recovered = "by itself; what was not sent, after Send Again"


ROWS = tuple(
    Row(
        f"Blender killed at 50 moments of generating ({number} of 2)",
        "kill -9 at a random moment from the press to the stored answer; now and then the service fails, and after "
        "every sixth kill the list is deleted, replaced by an older copy, or damaged",
        killed,
        short=number == 1,
        long=True,
    )
    for number in (1, 2)
)
