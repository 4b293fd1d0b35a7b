"""kill -9 at random moments of a batch of prompts, and of the farm's first step, again and again.

The batch's folder lies where a user's would, so that what must hold of submissions (invariants.py) is judged of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tools.blenders import ROOT
from tools.faults.disks import FILES
from tools.faults.world import Row, World, wait_until
from tools.simulator import API_KEY

PROGRAM = """
import sys
from dataclasses import replace
from rodin_blender.command_line import main
from rodin_blender.command_line.host import plain
from rodin_blender.configuration import FIELDS
FIELDS["requests_per_minute"] = replace(FIELDS["requests_per_minute"], default=100_000)
sys.exit(main.run(sys.argv[1:], plain, own_process=True))
"""
"""The command line with so large a budget of requests that two hundred rows are over soon."""
LATEST_KILL = 0.3
"""Seconds after a submission has arrived."""
LONGEST_RUN = 240.0


def killed(world: World, rows: int, times: int, command: Callable[[World, Path, int], list[str]]) -> None:
    """Run a table of so many prompts and kill that so many times; then to its end, as a user would do it."""
    rows, times = (12, 3) if world.short else (rows, times)
    world.simulator.story, world.simulator.result_files, world.simulator.balance = "one-job", FILES, 1000.0
    table, out = world.folder / "show.csv", world.list.parent
    out.mkdir(exist_ok=True)
    table.write_text("name,prompt\n" + "".join(f"Model {n},wish {n}\n" for n in range(rows)))
    words = command(world, table, rows)
    for goal in sorted(world.chance.sample(range(1, rows), times)):
        running = _begun(world, words)
        arrived = partial(_arrived, world, running, goal)
        wait_until(arrived, f"{goal} rows are sent", 60.0)
        time.sleep(world.chance.uniform(0.0, LATEST_KILL))
        running.kill()
        _said(world, running)
    _run(world, words)
    uncertain = _settle(world, out)
    code = _run(world, words)
    _check(world, rows, code)
    files = len(world.simulator.asked("files"))
    world.state = (
        f"{rows} rows, killed {times} times: each was accepted once and has its result; {uncertain} were uncertain; "
        f"{files} requests for {rows * len(FILES)} files"
    )
    world.recovered = "by the same command, run again" + ("; the uncertain ones by `settle`" if uncertain else "")


def _arrived(world: World, running: subprocess.Popen[str], goal: int) -> bool:
    return len(world.simulator.submissions) >= goal or running.poll() is not None


def _check(world: World, rows: int, code: int) -> None:
    names = [json.loads(line)["name"] for line in (world.list.parent / "results.jsonl").read_text().splitlines()]
    wanted = sorted(f"Model {n}" for n in range(rows))
    sent = sorted(one.prompt for one in world.simulator.submissions if not one.outcome)
    if code or sorted(names) != wanted:
        world.broken.append(f"kept: it ended with {code} and {len(names)} results of {rows} rows")
    if sent != sorted(f"wish {n}" for n in range(rows)):
        world.broken.append(f"paid: {len(sent)} submissions were accepted, of {len(set(sent))} rows")
    whole = [path.read_bytes() for path in world.list.parent.rglob("base_basic_pbr.glb")]
    if len(whole) != rows or any(content != FILES["base_basic_pbr.glb"] for content in whole):
        world.broken.append(f"kept: {len(whole)} models of {rows} are there, or some are not whole")


def _settle(world: World, out: Path) -> int:
    """Say what became of the uncertain ones: by the service's answer where it has taken them, else send them again."""
    listed = subprocess.run(
        _program("list", "--json"), env=_environment(world), capture_output=True, text=True, timeout=60, check=True
    )
    uncertain = [task for task in map(json.loads, listed.stdout.splitlines()) if task["status"] == "UNCERTAIN"]
    by_prompt = {task.prompt: (key, task) for key, task in world.simulator._tasks.items()}
    for task in uncertain:
        how = ["--again"]
        if task["prompt"] in by_prompt:
            key, known = by_prompt[task["prompt"]]
            answer = world.folder.parent / f"{world.folder.name}-answer.json"
            answer.write_text(json.dumps({"uuid": known.uuid, "jobs": {"subscription_key": key}}))
            how = ["--answer", str(answer)]
        _run(world, _program("settle", task["task_id"], "--batch", str(out), *how))
        world.message = str(task["message"])
    return len(uncertain)


def _program(*words: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *words]


def _environment(world: World) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    ours = {"RODIN_FOLDER": str(world.list.parent), "RODIN_API_URL": world.address, "RODIN_API_KEY": API_KEY}
    return {**plain, **ours, "RODIN_SHORTEST_INTERVAL": "1", "RODIN_LONGEST_INTERVAL": "1", "PYTHONPATH": str(ROOT)}


def _begun(world: World, words: list[str]) -> subprocess.Popen[str]:
    # Into a file: a Blender that a killed step has left behind holds a pipe open.
    with (world.folder / "said.txt").open("a") as said:
        return subprocess.Popen(words, cwd=ROOT, env=_environment(world), stdout=said, stderr=said, text=True)


def _said(world: World, running: subprocess.Popen[str]) -> int:
    code = running.wait(LONGEST_RUN)
    said = (world.folder / "said.txt").read_text(errors="replace")
    if "Traceback" in said or API_KEY in said:
        world.broken.append(f"plain words: the command printed: {said[-2000:]}")
    return code


def _run(world: World, words: list[str]) -> int:
    return _said(world, _begun(world, words))


def _of_command_line(world: World, table: Path, rows: int) -> list[str]:
    return _program("batch", str(table), "--to", str(world.list.parent))


def _of_farm(world: World, table: Path, rows: int) -> list[str]:
    """The farm's first step, with plain Python in Blender's place."""
    program, blender = world.folder / "program.py", world.folder / "blender"
    program.write_text(PROGRAM)
    blender.write_text(
        f'#!/bin/sh\nwhile [ "$1" != rodin ]; do shift; done; shift\nexec {sys.executable} {program} "$@"\n'
    )
    blender.chmod(0o755)
    options = [f"--batch-file={table}", f"--models={rows}", f"--folder={world.list.parent}", f"--blender={blender}"]
    return [sys.executable, str(ROOT / "farm" / "rodin_farm.py"), "generate", *options, "--pause=0.2"]


HOW = "kill -9 up to 0.3 s after a submission has arrived, each time another one, and the same command run again"
ROWS = tuple(
    Row(f"{what} of 200 prompts killed 20 times", HOW, partial(killed, rows=200, times=20, command=command), long=True)
    for what, command in (("a batch", _of_command_line), ("the farm's first step", _of_farm))
)
