"""Whether anything grows, is lost or asked too often where very many tasks are followed for long on a faulty service.

    python -m tools.soak [--tasks 10000] [--seconds 180]      (make soak)

Two processes: this one, with a simulated service that answers one question in five with a fault; and a tracker with its
list of tasks, of which some finish, are paused, resumed and forgotten, and new ones take their place. It is looked at
from outside. Time is accelerated: intervals of a second, and more requests a minute than in use.
Needs Linux, for /proc. Exit code 0: all that is claimed holds. The figures go into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter, defaultdict, deque
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any, TextIO

from rodin_blender.service import paste_parser
from rodin_blender.service.answers import Job
from rodin_blender.service.keys import Secret
from rodin_blender.storage import store
from rodin_blender.tasks import schedule
from rodin_blender.tasks.schedule import Pace
from rodin_blender.tasks.task import Task, Watch
from rodin_blender.texts.text import Trouble
from rodin_blender.tracking import workers
from rodin_blender.tracking.messages import BlockerChanged, Followed, Settings, TaskChanged
from rodin_blender.tracking.tracker import Tracker
from tools import page
from tools.blenders import ROOT
from tools.memory_disk import memory_disk
from tools.simulator import API_KEY, FAULTS, Simulator

PAGE = ROOT / "docs" / "reliability.md"
FAULTY = 0.2
RARE = {"429-seconds": 20.0, "429-date": 20.0, "hang": 2.0, "drip": 4.0, "huge": 1.0, "huge-chunked": 1.0}
"""Faults that hold up all tasks, or a worker for seconds: no sooner again than after so many seconds."""
PER_MINUTE = 18_000
TIMEOUT = 1.0
LONGEST_CALL = 2.0
FINAL_STAYS = 15.0
"""Seconds that a finished task stays in the list, where it must not be asked about again."""
STEADY = 1 / 3
"""From this share of the time on, all is as it stays: each task has been asked about, the first have ended."""
MOST_GROWTH = 0.1
"""What memory and the file may grow by from then to the end, by a fitted line. One worker that meets the largest answer
that is read, 8 MB, for the first time is 6 % of the memory; a leak of 0.5 kB at each check would be more."""
SAMPLES_A_SECOND = 2


class FaultySimulator(Simulator):
    """One status answer in five is a fault, of all kinds in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Counter[str] = Counter()
        self._chance = random.Random(1)
        self._next_of_rare = dict.fromkeys(RARE, 0.0)
        self._choosing = threading.Lock()

    def _next_fault(self, path: str, task: Any = None) -> str:
        with self._choosing:
            if path != "status" or self._chance.random() >= FAULTY:
                return ""
            fault = self._chance.choice([*FAULTS])
            while fault in RARE and time.monotonic() < self._next_of_rare[fault]:
                fault = self._chance.choice([*FAULTS])
            if fault in RARE:
                self._next_of_rare[fault] = time.monotonic() + RARE[fault]
            self.told[fault] += 1
            return fault


def fill(path: Path, simulator: Simulator, tasks: int, seconds: float, events: TextIO) -> None:
    """Make a list of tasks that end throughout the run and after it."""
    chance = random.Random(2)
    uuids: dict[str, list[str]] = {}
    with closing(store.Store(path)) as listed:
        for number in range(tasks):
            answer = simulator.add(story(chance, seconds), prompt=f"Model {number}", files={})
            task = listed.add(schedule.new_task(paste_parser.generation_answer(answer), time.time()))
            print(time.time(), "followed", answer["jobs"]["subscription_key"], file=events)
            uuids[task.task_id] = answer["jobs"]["uuids"]
        use(listed, uuids, chance)
    with closing(sqlite3.connect(path)) as db:
        # Of use only where the minute's requests are thousands.
        db.execute("CREATE INDEX request_at ON request (at)")


def use(listed: store.Store, uuids: dict[str, list[str]], chance: random.Random) -> None:
    """Write the list's tasks anew again and again, in any order: what SQLite's pages look like after a while."""
    pace, no_answer = Pace(1.0, 1.0), Trouble("bad_answer", "The service is in trouble (HTTP 500).")
    for _ in range(3):
        for task_id in chance.sample([*uuids], len(uuids)):
            if chance.random() < FAULTY:
                listed.change(task_id, lambda t: schedule.after_failure(t, no_answer, time.time(), pace, 0.5, None))
            else:
                jobs = tuple(Job(uuid, chance.choice(["Waiting", "Generating"])) for uuid in uuids[task_id])
                listed.change(task_id, lambda t, jobs=jobs: schedule.after_answer(t, jobs, time.time(), pace, 0.5))


def story(chance: random.Random, seconds: float) -> list[list[tuple[float, str]]]:
    jobs = chance.choice([1, 2, 5])
    ends = chance.uniform(0.1, 2.0) * seconds
    begins = [(0.0, "Waiting"), (ends * 0.3, "Generating")]
    return [[*begins, (ends * chance.uniform(0.6, 1.0), chance.choice(["Done", "Failed"]))] for _ in range(jobs)]


class Owner:
    """For another process: a tracker, and a user who does much. It keeps no more than what is in the list."""

    def __init__(self, folder: Path, url: str, seconds: float) -> None:
        self.root = url.removesuffix("/api/v2")
        self.seconds = seconds
        self.chance = random.Random(3)
        self.events = (folder / "events").open("a", buffering=1)
        self.tasks: dict[str, Task] = {}
        self.finished: deque[tuple[float, str]] = deque()
        self.paused: deque[tuple[float, str]] = deque()
        pace = Pace(1.0, 1.0, 10 * seconds)
        settings = Settings(url, Secret(API_KEY), TIMEOUT, pace, requests_per_minute=PER_MINUTE)
        self.tracker = Tracker(folder / "tasks.sqlite", settings)

    def run(self) -> None:
        end, next_deeds = time.monotonic() + self.seconds, 0.0
        while time.monotonic() < end:
            with contextlib.suppress(Empty):
                self.read(self.tracker.messages.get(timeout=0.1))
            if time.monotonic() >= next_deeds:
                next_deeds = time.monotonic() + 0.2
                self.do()
        self.tracker.stop()
        assert self.tracker.join(10.0)
        self.events.close()

    def read(self, message: object) -> None:
        match message:
            case TaskChanged(task) | Followed(task, _):
                before = self.tasks.get(task.task_id)
                self.tasks[task.task_id] = task
                if task.status.final and not (before and before.status.final):
                    self.note("final", task)
                    self.finished.append((time.monotonic(), task.task_id))
                elif task.watch is Watch.REFUSED:
                    self.tracker.change(task.task_id, lambda t: schedule.due_now(t, time.time()))
            case BlockerChanged(blocker) if blocker:
                self.tracker.refresh()

    def do(self) -> None:
        now = time.monotonic()
        while self.finished and now - self.finished[0][0] > FINAL_STAYS:
            self.replace(self.finished.popleft()[1])
        some = self.chance.sample([*self.tasks], 2) if len(self.tasks) > 2 else []
        for task_id in some[:1]:
            if self.tasks[task_id].followed:
                self.tracker.change(task_id, schedule.paused)
                self.note("paused", self.tasks[task_id])
                self.paused.append((now, task_id))
        for task_id in some[1:]:
            if not self.tasks[task_id].status.final:
                self.replace(task_id)
        while self.paused and now - self.paused[0][0] > 5.0:
            self.tracker.change(self.paused.popleft()[1], lambda task: schedule.resumed(task, time.time()))

    def replace(self, task_id: str) -> None:
        """Forget a task, and follow a new one."""
        task = self.tasks.pop(task_id, None)
        if task is None:
            return
        self.tracker.forget(task_id)
        self.note("forgotten", task)
        wish = {"story": story(self.chance, self.seconds), "files": {}}
        asked = urllib.request.Request(
            f"{self.root}/simulator/tasks", json.dumps(wish).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            generation = paste_parser.generation_answer(json.load(answer))
        self.tracker.follow(generation)
        print(time.time(), "followed", generation.subscription_key.reveal(), file=self.events)

    def note(self, what: str, task: Task) -> None:
        print(time.time(), what, task.subscription_key.reveal(), file=self.events)


def own(folder: Path, url: str, seconds: float) -> None:
    workers.LONGEST_CALL = LONGEST_CALL
    # Each trouble would be a line on the screen.
    logging.disable()
    Owner(folder, url, seconds).run()


@dataclass
class Run:
    """What was seen."""

    tasks: int
    seconds: float
    times: list[float] = field(default_factory=list)
    seen: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    asked: list[tuple[float, str]] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    events: list[tuple[float, str, str]] = field(default_factory=list)
    listed: set[str] = field(default_factory=set)
    exit_code: int = 0

    def sample(self, pid: int, path: Path, began: float) -> None:
        process = Path(f"/proc/{pid}")
        status = (process / "status").read_text()
        seen = {
            "memory": int(re.search(r"VmRSS:\s*(\d+)", status)[1]) / 1024,  # type: ignore[index]
            "threads": int(re.search(r"Threads:\s*(\d+)", status)[1]),  # type: ignore[index]
            "file": path.stat().st_size / 2**20,
            "descriptors": len([*(process / "fd").iterdir()]),
        }
        self.times.append(time.monotonic() - began)
        for name, value in seen.items():
            self.seen[name].append(value)

    def steady(self, name: str) -> list[float]:
        return [value for at, value in zip(self.times, self.seen[name], strict=True) if at >= STEADY * self.seconds]

    def growth(self, name: str) -> float:
        """By a fitted line, over the steady time, as a share of the level."""
        import numpy

        values = self.steady(name)
        times = self.times[-len(values) :]
        slope = numpy.polyfit(times, values, 1)[0]
        return float(slope * (times[-1] - times[0]) / numpy.mean(values))

    def claims(self) -> list[tuple[str, str, bool]]:
        """(what is claimed, what was seen, whether it holds)"""
        at_first: dict[str, dict[str, float]] = defaultdict(dict)
        for at, what, key in self.events:
            at_first[what].setdefault(key, at)
        final, followed, forgotten, paused = (at_first[w] for w in ("final", "followed", "forgotten", "paused"))
        asked_after = sum(at > final.get(key, at) for at, key in self.asked)
        lost = followed.keys() - forgotten.keys() - self.listed
        asked = {key for _, key in self.asked}
        half = self.events[0][0] + self.seconds / 2
        # Whoever was paused comes last again.
        never = [k for k in self.listed if followed.get(k, half) < half and k not in asked and k not in paused]
        kinds = len(self.faults)
        claims = [
            ("no task is lost", f"{len(lost)} of {len(followed)} lost, {len(forgotten)} forgotten on purpose",
             not lost and self.listed <= followed.keys()),
            ("a finished task is not asked about again", f"{len(final)} finished, {asked_after} questions after that",
             not asked_after and len(final) > self.tasks * 0.05),
            ("each task gets its turn", f"{len(never)} of the first half's not asked about", not never),
            ("all kinds of faults, one answer in five", f"{kinds} of {len(FAULTS)} kinds, "
             f"{sum(self.faults.values()) / max(len(self.asked), 1):.0%} of {len(self.asked):,} answers",
             kinds == len(FAULTS)),
        ]  # fmt: skip
        for name, words in (("memory", "the tracker's memory"), ("file", "the list's file")):
            level, growth = sum(self.steady(name)) / len(self.steady(name)), self.growth(name)
            claim = f"{words} stays as it is (less than {MOST_GROWTH:.0%} more)"
            claims.append((claim, f"{level:.1f} MB, {growth:+.1%}", growth < MOST_GROWTH))
        for name, words in (("threads", "threads"), ("descriptors", "open files and sockets")):
            values = self.steady(name)
            first, last = max(values[: len(values) // 2]), max(values[len(values) // 2 :])
            claim = f"no more {words}, give or take two"
            claims.append((claim, f"at most {first:.0f}, later {last:.0f}", last <= first + 2))
        return claims


def measured(tasks: int, seconds: float) -> Run:
    run = Run(tasks, seconds)
    # In memory where that can be had: a disk's pace is not the question here.
    with tempfile.TemporaryDirectory(dir=memory_disk()) as name:
        folder = Path(name)
        path = folder / "tasks.sqlite"
        with FaultySimulator() as simulator:
            with (folder / "events").open("w") as events:
                fill(path, simulator, tasks, seconds, events)
            command = [sys.executable, "-m", "tools.soak", "--seconds", str(seconds), "--own", name, simulator.url]
            with subprocess.Popen(command, cwd=ROOT) as owner:
                try:
                    began = time.monotonic()
                    while time.monotonic() - began < seconds - 1.0:
                        time.sleep(1 / SAMPLES_A_SECOND)
                        run.sample(owner.pid, path, began)
                    run.exit_code = owner.wait(60)
                finally:
                    owner.kill()
            run.asked = [(request.at, request.subscription_key) for request in simulator.asked("status")]
            run.faults = simulator.told
        for line in (folder / "events").read_text().splitlines():
            at, what, key = line.split()
            run.events.append((float(at), what, key))
        with closing(store.Store(path)) as listed:
            run.listed = {task.subscription_key.reveal() for task in listed.tasks()}
    return run


def section_of(run: Run) -> str:
    lines = [(claim, seen, "yes" if holds else "**no**") for claim, seen, holds in run.claims()]
    return f"""## Long runs

`make soak`: one process follows {run.tasks:,} tasks for {run.seconds:.0f} s on a simulated service that answers one
question in five with a fault. Tasks finish, some are paused, resumed and forgotten, and new ones take their place.
Time is accelerated: all tasks are due at all times, and up to {PER_MINUTE // 60} requests a second are allowed. Faults
that hold up everything, such as "slow down", come every few seconds only. The list was in use before.

{page.table(("claim", "seen", "holds"), lines)}

Growth is that of a line fitted to the last two thirds. In the first one memory fills with the list, and by steps
with room for the largest answers that are read, 8 MB: Python keeps it for the next.

*{page.when_and_where()}.*
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--dry", action="store_true", help="leave docs/ as it is")
    parser.add_argument("--own", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.own:
        own(Path(given.own[0]), given.own[1], given.seconds)
        return 0
    run = measured(given.tasks, given.seconds)
    for claim, seen, holds in run.claims():
        print(f"{'ok  ' if holds else 'FAIL'} {claim}: {seen}")
    if not given.dry:
        page.put(PAGE, "soak", section_of(run))
    return 0 if not run.exit_code and all(holds for _, _, holds in run.claims()) else 1


if __name__ == "__main__":
    sys.exit(main())
