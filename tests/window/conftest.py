"""A Blender with a real window, under Xvfb, the built zip installed as a user would."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tools.simulator import API_KEY, Simulator

SCREEN = "1600x900x24" if "RODIN_PICTURES" in os.environ else "900x900x24"
"""Half of what a window costs without a graphics card are its pixels: a small one does where no picture is kept."""
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
XVFB = ["xvfb-run", "-a", "-n", str(int(os.environ.get("RODIN_FIRST_SCREEN", "99")) + 10 * WORKER), "-s", f"-screen 0 {SCREEN}"]
"""A screen of the next free number from there on: two that look for one at the same time would find the same."""
LONGEST_RUN = 240.0


@dataclass(frozen=True)
class Outcome:
    facts: dict[str, Any]
    folder: Path
    exit_code: int
    quit_took: float
    """Seconds from the wish to quit to the end of the process."""
    output: str


class Window:
    def __init__(self, executable: str, folder: Path, installed: Path) -> None:
        """`installed` is a profile with the extension; this window has a copy of its own."""
        self._executable = executable
        self._folder = folder
        self._profile = shutil.copytree(installed, folder / "profile")
        starter = folder / "start-in-window"
        starter.write_text(f'#!/bin/sh\nexec {shlex.join(XVFB)} blender "$@"\n')
        starter.chmod(0o755)
        self._starter = starter

    def play(self, scenario: str, given: dict[str, Any] | None = None, *options: str, **environment: str) -> Outcome:
        """Start Blender, play the scenario, and fail with its own words when it did not go through."""
        folder = self._folder / scenario
        # A test of a restart has put a list there.
        folder.mkdir(exist_ok=True)
        (folder / "given.json").write_text(json.dumps(given or {}))
        command = [
            self._executable,
            "--enable-event-simulate",
            *options,
            "--python",
            str(Path(__file__).with_name("driver.py")),
        ]
        environment |= {"RODIN_SCENARIO": scenario, "RODIN_FOLDER": str(folder)}
        if os.environ.get("RODIN_IN_ROOT"):
            environment["IN_ROOT"] = str(self._starter)
        else:
            command = [*XVFB, *command]
        with (folder / "output.txt").open("w+") as output:
            # A session of its own, so that all it started can be ended by its id.
            process = subprocess.Popen(
                command, env=_environment(self._profile, **environment), stdout=output, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            try:
                exit_code = process.wait(LONGEST_RUN)
            except subprocess.TimeoutExpired:
                exit_code = None
            finally:
                ended = time.time()
                _end(process.pid)
            output.seek(0)
            said = output.read()
        result = json.loads((folder / "result.json").read_text()) if (folder / "result.json").exists() else None
        _keep_pictures(folder)
        if exit_code is None or result is None or result["trouble"]:
            trouble = result["trouble"] if result else f"no result, exit code {exit_code}"
            pytest.fail(f"{scenario}: {trouble}\n{said[-3000:]}", pytrace=False)
        return Outcome(result["facts"], folder, exit_code, ended - result["quit_at"], said)


def _environment(profile: Path, **more: str) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RODIN_API", "HYPER3D"))}
    return {**environment, "BLENDER_USER_RESOURCES": str(profile), **more}


def _end(session: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)


def _keep_pictures(folder: Path) -> None:
    kept = os.environ.get("RODIN_PICTURES")
    if kept:
        Path(kept).mkdir(parents=True, exist_ok=True)
        for picture in folder.glob("*.png"):
            shutil.copy(picture, kept)


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's tmp_path: it must be under /tmp to be seen in a Debian root too.
    with tempfile.TemporaryDirectory(prefix="rodin-window-", dir="/tmp") as made:
        yield Path(made)


@pytest.fixture(scope="session")
def installed() -> Iterator[Path]:
    """A new profile, the extension installed in it by Blender's own tool."""
    with tempfile.TemporaryDirectory(prefix="rodin-installed-", dir="/tmp") as profile:
        command = [os.environ["RODIN_WINDOW_BLENDER"], "--command", "extension", "install-file", "-r", "user_default"]
        command += ["-e", os.environ["RODIN_ZIP"]]
        subprocess.run(command, env=_environment(Path(profile)), check=True, capture_output=True, timeout=120)
        yield Path(profile)


@pytest.fixture
def window(folder: Path, installed: Path) -> Window:
    return Window(os.environ["RODIN_WINDOW_BLENDER"], folder, installed)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(begins_when_asked=True) as running:
        yield running


@pytest.fixture
def connected(simulator: Simulator) -> dict[str, str]:
    return {"RODIN_API_URL": simulator.url, "RODIN_API_KEY": API_KEY}
