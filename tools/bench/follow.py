# SPDX-License-Identifier: GPL-3.0-or-later
"""How one process follows very many tasks: memory, requests against the budget, and whether each task gets its turn.

    python -m tools.bench.follow [--tasks 10000] [--seconds 60] [--per-minute 18000] [--json]

Runs the real command `wait` on a list of so many tasks that never end, against a simulator in another process. The
minute's requests are more than in use, and the intervals short, so that each task's turn comes within the time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from rodin_blender.command_line import main as command_line
from rodin_blender.command_line.host import plain
from rodin_blender.configuration import FIELDS
from rodin_blender.service import pasted
from rodin_blender.storage import store
from rodin_blender.tasks import schedule
from tools import blenders
from tools.bench.page import Promise, promised, rows
from tools.simulator import API_KEY, Simulator


def serve(tasks: int, folder: Path) -> None:
    """For another process: the service, and the list and the file of keys of its tasks."""
    with Simulator() as simulator, closing(store.Store(folder / "tasks.sqlite")) as listed:
        written = []
        for number in range(tasks):
            answer = simulator.add("stuck", prompt=f"Model {number}", files={})
            listed.add(schedule.begun(pasted.generation_answer(answer), time.time()))
            written.append(answer["jobs"]["subscription_key"])
        with closing(sqlite3.connect(folder / "tasks.sqlite")) as db:
            # Of use only where the minute's requests are thousands.
            db.execute("CREATE INDEX request_at ON request (at)")
        (folder / "keys.txt").write_text("\n".join(written))
        print(simulator.url, flush=True)
        threading.Event().wait()


def follow(folder: Path, url: str, seconds: float, per_minute: int) -> tuple[list[float], float, float, float]:
    """Run `wait`. Returns when requests were allowed, when it began and ended, and the most memory used, in MB."""
    FIELDS["requests_per_minute"] = replace(FIELDS["requests_per_minute"], default=per_minute)
    allowed: list[float] = []
    claim_due = store.Store.claim_due

    def noted(self: store.Store, now: float, *rest: Any) -> list[store.Claim]:
        claims = claim_due(self, now, *rest)
        allowed.extend([now] * len(claims))
        return claims

    store.Store.claim_due = noted  # type: ignore[method-assign]
    os.environ |= {
        "RODIN_FOLDER": str(folder),
        "RODIN_API_URL": url,
        "RODIN_API_KEY": API_KEY,
        "RODIN_SHORTEST_INTERVAL": "1",
        "RODIN_LONGEST_INTERVAL": "1",
    }
    began = time.time()
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        code = command_line.run(["wait", f"@{folder / 'keys.txt'}", "--timeout", str(seconds)], plain)
    assert code == 4, code
    return allowed, began, time.time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def most_in_a_minute(times: list[float]) -> int:
    most, first = 0, 0
    for last, at in enumerate(times):
        while times[first] <= at - 60.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def found(asked: list[dict[str, Any]], allowed: list[float], ended: float) -> dict[str, float]:
    """What the service's requests tell."""
    times = sorted(request["at"] for request in asked)
    turns: dict[str, list[float]] = {}
    for request in asked:
        turns.setdefault(request["subscription_key"], []).append(request["at"])
    waits = [later - earlier for turn in turns.values() for earlier, later in pairwise(turn)]
    open_waits = [ended - max(turn) for turn in turns.values()]
    return {
        "requests": len(times),
        "over": times[-1] - times[0],
        "allowed_in_a_minute": most_in_a_minute(allowed),
        "arrived_in_a_minute": most_in_a_minute(times),
        "asked_about": len(turns),
        "fewest_turns": min(map(len, turns.values())),
        "most_turns": max(map(len, turns.values())),
        "last_first": max(min(turn) - times[0] for turn in turns.values()),
        "waits": len(waits),
        "mean_wait": statistics.fmean(waits) if waits else 0.0,
        "longest_wait": max(waits, default=0.0),
        "longest_open_wait": max(*waits, *open_waits),
    }


def section(_pictures: Path) -> str:
    # In a process of its own, whose peak memory is that of following alone.
    words = [sys.executable, "-m", "tools.bench.follow", "--json"]
    said = subprocess.run(words, cwd=blenders.ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    facts = json.loads(said)
    mean, longest = facts["mean_wait"], facts["longest_open_wait"]
    promises = promised(
        Promise("Never more requests in a minute than allowed", f"at most {facts['budget']:,}",
                f"{facts['allowed_in_a_minute']:,}", facts["allowed_in_a_minute"] <= facts["budget"]),
        Promise(f"Each of {facts['tasks']:,} tasks gets its turn", "all asked about, none twice more than another",
                f"{facts['asked_about']:,} asked about, each {facts['fewest_turns']} to {facts['most_turns']} times",
                facts["asked_about"] == facts["tasks"] and facts["most_turns"] <= facts["fewest_turns"] + 1),
    )  # fmt: skip
    table = rows(("", ""), [
        ("peak memory", f"{facts['memory']:.0f} MB"),
        ("processor time", f"{facts['cpu']:.1f} s in {facts['seconds']:.1f} s"),
        ("requests", f"{facts['requests']:,} in {facts['over']:.1f} s"),
        ("most in any minute", f"{facts['allowed_in_a_minute']:,} allowed, {facts['arrived_in_a_minute']:,} arrived"),
        ("the last task is first asked about", f"after {facts['last_first']:.1f} s"),
        ("waits between two checks of a task", f"mean {mean:.2f} s, longest {facts['longest_wait']:.2f} s"),
        ("longest, with those not over in the end", f"{longest:.2f} s"),
    ], texts=1)  # fmt: skip
    return f"""{promises}

The real command `wait` follows {facts["tasks"]:,} tasks that never end, in one process of plain Python, with
its list in memory. A budget of {facts["budget"]:,} requests a minute is {facts["budget"] // 60} times the usual
one, and the intervals are one second, so that each task's turn comes within the time. `python -m
tools.bench.follow --help` tells how to ask for other numbers.

{table}

The budget was used up after {facts["over"]:.0f} s. Nothing is asked then until the minute is over, which the
waits that are not over contain."""


def tell(facts: dict[str, float]) -> None:
    print("peak memory: {memory:.0f} MB; CPU: {cpu:.1f} s in {seconds:.1f} s".format(**facts))
    print("requests: {requests} in {over:.1f} s; in any minute at most {allowed_in_a_minute} of {budget} were allowed, "
          "and {arrived_in_a_minute} arrived (each some moments later)".format(**facts))  # fmt: skip
    print("tasks asked about: {asked_about} of {tasks}; the last first after {last_first:.1f} s".format(**facts))
    if facts["waits"]:
        print("waits between two checks of a task: {waits}, mean {mean_wait:.2f} s, longest {longest_wait:.2f} s; "
              "with those not over in the end {longest_open_wait:.2f} s".format(**facts))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--per-minute", type=int, default=18_000, help="the budget of requests")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.tasks, given.serve)
        return
    # In memory where that can be had: a disk's pace is not the question here, and would lengthen each turn.
    memory_disk = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory_disk if memory_disk.is_dir() else None) as folder:
        words = [sys.executable, "-m", "tools.bench.follow", "--serve", folder, "--tasks", str(given.tasks)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as service:
            assert service.stdout
            url = service.stdout.readline().strip()
            used = time.process_time()
            allowed, began, ended, memory = follow(Path(folder), url, given.seconds, given.per_minute)
            used = time.process_time() - used
            with urllib.request.urlopen(url.replace("/api/v2", "/simulator/requests")) as answer:
                asked = json.load(answer)["requests"]
            service.kill()
    facts = found(asked, allowed, ended)
    facts |= {"memory": memory, "cpu": used, "seconds": ended - began, "tasks": given.tasks, "budget": given.per_minute}
    if given.json:
        print(json.dumps(facts))
    else:
        tell(facts)


if __name__ == "__main__":
    main()
