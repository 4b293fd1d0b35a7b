"""Blenders with a window, under Xvfb, each in a throw-away profile: what runs inside writes its facts as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import blenders, build, lanes

HERE = Path(__file__).parent
SCREEN = "1024x640x24"
LONGEST_RUN = 90.0
MEMORY_DISK = Path("/dev/shm")
"""For lists of tasks, where it can be had: a disk's pace is not the question here."""


class Failed(Exception):
    pass


_sessions: set[int] = set()
_stopped = threading.Event()


@contextlib.contextmanager
def started(command: list[Any], **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A program in a session of its own, which is ended whole, by its id."""
    if _stopped.is_set():
        raise Failed("stopped")
    process = subprocess.Popen(command, text=True, stdin=subprocess.DEVNULL, start_new_session=True, **more)
    _sessions.add(process.pid)
    try:
        yield process
    finally:
        _end(process.pid)
        process.wait()
        _sessions.discard(process.pid)


def stop() -> None:
    """End all that was started, in whatever thread; what waits for it fails."""
    _stopped.set()
    for session in list(_sessions):
        _end(session)


def _end(session: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)


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

    def run(self, script: str, given: dict[str, Any], **environment: str) -> dict[str, Any]:
        """Run a script of this folder, which writes its facts to the file that `given["facts"]` names."""
        with tempfile.TemporaryDirectory(prefix="rodin-bench-", dir="/tmp") as made:
            folder = Path(made)
            facts, output = folder / "facts.json", folder / "output.txt"
            asked = folder / "given.json"
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
            with (
                output.open("w") as written,
                started(command, env=environment, stdout=written, stderr=subprocess.STDOUT) as process,
                contextlib.suppress(subprocess.TimeoutExpired),
            ):
                if hasattr(os, "sched_setaffinity"):
                    os.sched_setaffinity(process.pid, {self.core})
                process.wait(LONGEST_RUN)
            if not facts.exists():
                raise Failed(f"Blender {self.name}, {script}: no facts\n{output.read_text(errors='replace')[-3000:]}")
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


def version(executable: Path) -> str:
    said = subprocess.run([executable, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    match = re.search(r"Blender (\d\S*)", said)
    return match[1] if match else "?"


@contextlib.contextmanager
def memory_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK if MEMORY_DISK.is_dir() else "/tmp") as folder:
        yield Path(folder)
