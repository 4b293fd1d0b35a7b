"""kill -9 at random moments from the press of Generate to the stored answer, with the list lost or damaged in between.

The service counts; what must hold then stands in invariants.py.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from rodin_blender.storage.folders import OUTBOX
from tools.blenders import ROOT
from tools.faults import blenders, invariants
from tools.faults.processes import NotSeen, Process
from tools.faults.world import Row, World
from tools.simulator import API_KEY
from tools.testing.pictures import large_file, png_file

UPLOAD_RATES = (None, 4_000_000.0, 12_000_000.0)
"""Bytes a second. On a slow line most kills meet the upload, on a fast one the disk."""
PASSING_FAULTS = ("closed-in-upload", "taken-and-closed", "429", "refused-parallelism-limit-reached")
LIST_EVERY = 6
"""Kills between two losses of the list."""
SENT_AFTERWARDS = 3
LONGEST_LIFE = 1.2
"""Of the time from the press to being accepted, as the first one took it."""
FIRST_SENT = 30.0
"""Seconds within which a submission is accepted on a busy machine, too."""


def killed(world: World, times: int, live: Callable[[World, str, float], float]) -> None:
    """So many lives, each with a submission; then one in which nothing is lost.

    `live` begins one, kills it so many seconds after the press at the latest, and returns after how many it did.
    """
    world.simulator.story, world.simulator.result_files, world.simulator.balance = [[(0.0, "Done")]], {}, 1000.0
    world.environment |= {"RODIN_IMPORT_WHEN_DONE": "false", "RODIN_DOWNLOAD_WHEN_DONE": "false"}
    world.pictures = (png_file(world.folder / "front.png"), large_file(world.folder / "side.png", 3_000_000))
    (world.folder / "copies").mkdir()
    whole = live(world, "wish 0", FIRST_SENT)
    losses = 0
    for number in range(1, times + 1):
        _a_minute_passes(world)
        world.simulator.upload_rate = world.chance.choice(UPLOAD_RATES)
        if world.chance.random() < 0.2:
            world.simulator.fail("rodin", world.chance.choice(PASSING_FAULTS))
        live(world, f"wish {number}", world.chance.uniform(0.0, LONGEST_LIFE) * whole)
        if number % (1 if world.short else LIST_EVERY) == 0:
            _lose_list(world, losses)
            losses += 1
    world.simulator.upload_rate = None
    world.simulator.mend("rodin")
    _go_on(world, times, losses)


def _go_on(world: World, times: int, losses: int) -> None:
    """One more life: all that was accepted is there, and what was not sent can be."""
    _a_minute_passes(world)
    process = blenders.begin(world) if world.processes else world.process()
    accepted = {sent.task_uuid for sent in world.simulator.submissions if not sent.outcome}

    def known() -> bool:
        shown = [event.status for event in process.shown.values()]
        return sum(status not in ("UNSENT", "SENDING", "REJECTED") for status in shown) >= len(accepted)

    process.until(known, "all that was accepted is in the list", 60.0)
    process.until(lambda: all(e.status != "SENDING" for e in process.shown.values()), "nothing is being sent", 30.0)
    by_status: dict[str, list[str]] = {}
    for event in process.shown.values():
        by_status.setdefault(event.status, []).append(event.task_id)
        if event.status == "UNCERTAIN":
            world.message = event.message
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


# Lives.


def _of_command_line(world: World, prompt: str, seconds: float) -> float:
    pictures = [word for path in world.pictures for word in ("--image", str(path))]
    plain = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment = {
        **plain,
        "RODIN_FOLDER": str(world.list.parent),
        "RODIN_API_URL": world.address,
        "RODIN_API_KEY": API_KEY,
        "PYTHONPATH": str(ROOT),
    }
    outbox = world.list.parent / OUTBOX
    before = set(outbox.glob("*"))
    running = subprocess.Popen(
        [sys.executable, "-m", "rodin_blender", "generate", "--prompt", prompt, *pictures],
        cwd=world.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    # Most of the time goes by until the program has begun: the press is where it begins to write.
    while running.poll() is None and set(outbox.glob("*")) == before:
        time.sleep(0.002)
    began = time.monotonic()
    with suppress(subprocess.TimeoutExpired):
        running.wait(seconds)
    took = time.monotonic() - began
    running.send_signal(signal.SIGKILL)
    said = running.communicate()[0]
    if "Traceback" in said or API_KEY in said:
        world.broken.append(f"plain words: the command printed: {said}")
    return took


def _of_blender(world: World, prompt: str, seconds: float) -> float:
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


# The list in between.


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


def of_command_line(world: World, times: int) -> None:
    killed(world, 2 if world.short else times, _of_command_line)


def of_blender(world: World, times: int) -> None:
    killed(world, 1 if world.short else times, _of_blender)


def reset_in_upload(world: World) -> None:
    """Ten times, since it is a matter of moments whether a write meets the end of the connection."""
    world.simulator.fail("rodin", *["closed-in-upload"] * 10)
    world.pictures = (large_file(world.folder / "side.png", 3_000_000),)
    process = blenders.begin(world)
    for number in range(10):
        process.do("generate", prompt=f"wish {number}", images=[str(path) for path in world.pictures])
    uncertain = lambda: [event.status for event in process.shown.values()].count("UNCERTAIN")  # noqa: E731
    process.until(lambda: uncertain() == 10, "all are uncertain", 60.0)
    world.note(next(iter(process.shown.values())))
    world.state, world.recovered = "UNCERTAIN, ten of ten", "by what the user chooses"


HOW = (
    "kill -9 at a random moment from the press to the stored answer; now and then the service fails, and after every "
    "sixth kill the list is deleted, replaced by an older copy, or damaged"
)
ROWS = (
    Row(
        "a submission of Blender's whose connection is reset",
        "simulator's fault `closed-in-upload`, ten times, with SIGPIPE as Blender 4.3 leaves it",
        reset_in_upload,
        short=False,
    ),
    *(
        Row(
            f"the command line killed at 50 moments of generating ({number} of 4)",
            HOW,
            partial(of_command_line, times=50),
            short=number == 1,
            long=True,
        )
        for number in range(1, 5)
    ),
    *(
        Row(
            f"Blender killed at 50 moments of generating ({number} of 4)",
            HOW,
            partial(of_blender, times=50),
            short=number == 1,
            long=True,
        )
        for number in range(1, 5)
    ),
)
