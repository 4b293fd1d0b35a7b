"""Blenders with a window, under Xvfb, each in a throw-away profile: what runs inside writes its facts as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tools import blenders, build, lanes
from tools.memory_disk import memory_disk
from tools.side_by_side import run_all, run_session

HERE = Path(__file__).parent
SCREEN = "1024x640x24"
LONGEST_RUN = 90.0


Result = TypeVar("Result")


class Failed(Exception):
    pass


@dataclass(frozen=True)
class Installed:
    """A Blender with the extension installed in `profile`, enabled at its start or not."""

    name: str
    version: str
    executable: Path
    in_root: bool
    profile: Path
    core: int
    """The processor that its runs are kept to, so that two Blenders side by side do not take each other's time."""
    slots = 1

    def run(self, script: str, given: dict[str, Any], **environment: str) -> dict[str, Any]:
        """Run a script of this folder, which writes its facts to the file that `given["facts"]` names."""
        with tempfile.TemporaryDirectory(prefix="rodin-bench-", dir="/tmp") as made:
            folder = Path(made)
            facts, asked = folder / "facts.json", folder / "given.json"
            asked.write_text(json.dumps({**given, "facts": str(facts)}))
            # Mesa draws in as many threads as there are processors; one is steadier.
            environment = {**self._environment(), "LP_NUM_THREADS": "1", **environment, "RODIN_BENCH": str(asked)}
            command = [str(self.executable)]
            if self.in_root:
                starter = folder / "start"
                starter.write_text(f'#!/bin/sh\nexec xvfb-run -a -s "-screen 0 {SCREEN}" blender "$@"\n')
                starter.chmod(0o755)
                environment["IN_ROOT"] = str(starter)
            else:
                command = [*("xvfb-run", "-a", "-s", f"-screen 0 {SCREEN}"), *command]
            command += ["--window-geometry", "0", "0", *SCREEN.split("x")[:2], "--python", str(HERE / script)]
            on_core = ["taskset", "-c", str(self.core)] if shutil.which("taskset") else []
            said: list[str] = []
            run_session([*on_core, *command], environment, HERE, LONGEST_RUN, said.append)
            if not facts.exists():
                raise Failed(f"Blender {self.name}, {script}: no facts\n{''.join(said)[-3000:]}")
            return dict(json.loads(facts.read_text()))

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("RODIN_", "HYPER3D_"))}
        return {**kept, "BLENDER_USER_RESOURCES": str(self.profile)}


@contextlib.contextmanager
def installed() -> Iterator[list[Installed]]:
    """The Blenders of this machine that can open a window, with the extension installed and not enabled."""
    archive = lanes.build()
    with tempfile.TemporaryDirectory(prefix="rodin-bench-", dir="/tmp") as folder:
        found = []
        for name in lanes.WINDOWED:
            try:
                blender = blenders.blender(name)
            except blenders.NotAvailable as error:
                blenders.say(f"Blender {name} is left out: {error}")
                continue
            if not blenders.in_root(blender) and not shutil.which("xvfb-run"):
                blenders.say(f"Blender {name} is left out: there is no xvfb-run")
                continue
            one = Installed(
                name, version(blender.executable), blender.executable, blenders.in_root(blender), Path(folder) / name,
                len(found) % (os.cpu_count() or 1),
            )  # fmt: skip
            build.install(one.executable, archive, one.profile, enabled=False)
            found.append(one)
        if not found:
            raise Failed("There is no Blender with a window here.")
        yield found


def measured(found: list[Installed], measure: Callable[[Installed], Result]) -> dict[str, Result]:
    """What is measured in each, side by side, by their versions."""
    results: dict[str, Result] = {}
    run_all(found, len(found), lambda blender: results.__setitem__(blender.version, measure(blender)))
    return {blender.version: results[blender.version] for blender in found}


def version(executable: Path) -> str:
    said = subprocess.run([executable, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    match = re.search(r"Blender (\d\S*)", said)
    return match[1] if match else "?"


@contextlib.contextmanager
def memory_folder() -> Iterator[Path]:
    """For lists of tasks, in memory where that can be had: a disk's pace is not the question here."""
    with tempfile.TemporaryDirectory(dir=memory_disk() or "/tmp") as folder:
        yield Path(folder)
