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

SCREEN = "1600x900x24" if "RODIN_PICTURES" in os.environ else "600x900x24"
"""Half of what a window costs without a graphics card are its pixels: a small one does where no picture is kept."""
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
XVFB = ["xvfb-run", "-a", "-n", str(int(os.environ.get("RODIN_FIRST_SCREEN", "99")) + 10 * WORKER), "-s", f"-screen 0 {SCREEN}"]
"""A screen of the next free number from there on: two that look for one at the same time would find the same."""
LONGEST_RUN = 240.0
LONGEST_QUIT = 60.0


@dataclass(frozen=True)
class Outcome:
    facts: dict[str, Any]
    folder: Path
    output: str
    exit_code: int | None = None
    """None where Blender goes on, to play another scenario."""
    quit_took: float = 0.0
    """Seconds from the wish to quit to the end of the process."""


class Blender:
    """A Blender with a window, which plays one scenario after the other, or quits after each and begins anew."""

    def __init__(self, executable: str, installed: Path, folder: Path, *, quits: bool) -> None:
        """`installed` is a profile with the extension; this Blender has a copy of its own in `folder`."""
        self._executable = executable
        self._profile = shutil.copytree(installed, folder / "profile")
        self._output = folder / "output.txt"
        self._next = folder / "next.json"
        self._quits = quits
        self._process: subprocess.Popen[bytes] | None = None
        self._starter = folder / "start-in-window"
        self._starter.write_text(f'#!/bin/sh\nexec {shlex.join(XVFB)} blender "$@"\n')
        self._starter.chmod(0o755)

    def play(self, folder: Path, environment: dict[str, str], options: tuple[str, ...]) -> Outcome:
        """Play the scenario that the environment names, and fail with its own words when it did not go through."""
        said_before = 0
        if self._process:
            said_before = self._output.stat().st_size
            _write_whole(self._next, environment)
        else:
            self._start(environment, options)
        result = self._result(folder / "result.json")
        trouble = result["trouble"] if result else "no result"
        exit_code, quit_took = None, 0.0
        if self._quits or trouble:
            exit_code = self._end(LONGEST_QUIT if result else 0.0)
            quit_took = time.time() - result["quit_at"] if result else 0.0
            if exit_code is None:
                trouble = trouble or "it did not quit"
        _keep_pictures(folder)
        output = self._output.read_bytes()[said_before:].decode(errors="replace")
        if trouble:
            pytest.fail(f"{folder.name}: {trouble}; exit code {exit_code}\n{output[-3000:]}", pytrace=False)
        return Outcome(result["facts"], folder, output, exit_code, quit_took)

    def quit(self) -> None:
        if self._process:
            _write_whole(self._next, {})
            exit_code = self._end(LONGEST_QUIT)
            assert exit_code == 0, f"exit code {exit_code}, None for one that did not quit"

    def _start(self, environment: dict[str, str], options: tuple[str, ...]) -> None:
        command = [self._executable, "--enable-event-simulate", *options]
        command += ["--python", str(Path(__file__).with_name("driver.py"))]
        environment = _environment(self._profile, **environment)
        if not self._quits:
            environment["RODIN_NEXT"] = str(self._next)
        if os.environ.get("RODIN_IN_ROOT"):
            environment["IN_ROOT"] = str(self._starter)
        else:
            command = [*XVFB, *command]
        # One that died has left it.
        self._next.unlink(missing_ok=True)
        with self._output.open("wb") as output:
            # A session of its own, so that all it started can be ended by its id.
            self._process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip

    def _result(self, path: Path) -> dict[str, Any] | None:
        end = time.monotonic() + LONGEST_RUN
        while not path.exists() and self._process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        return json.loads(path.read_text()) if path.exists() else None

    def _end(self, patience: float) -> int | None:
        """The exit code; None where it had to be killed."""
        process, self._process = self._process, None
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _kill(process.pid)


class Window:
    """What a test does with a Blender: its scenarios have a folder of the test's."""

    def __init__(self, blender: Blender, folder: Path) -> None:
        self._blender = blender
        self._folder = folder

    def play(self, scenario: str, given: dict[str, Any] | None = None, *options: str, **environment: str) -> Outcome:
        """Play the scenario. `options` are Blender's, for a new window."""
        folder = self._folder / scenario
        # A test of a restart has put a list there.
        folder.mkdir(exist_ok=True)
        (folder / "given.json").write_text(json.dumps(given or {}))
        return self._blender.play(
            folder, {"RODIN_SCENARIO": scenario, "RODIN_FOLDER": str(folder), **environment}, options
        )


def _environment(profile: Path, **more: str) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RODIN_API", "HYPER3D"))}
    return {**environment, "BLENDER_USER_RESOURCES": str(profile), **more}


def _write_whole(path: Path, content: dict[str, Any]) -> None:
    """So that who looks for the file finds all of it."""
    written = path.with_suffix(".part")
    written.write_text(json.dumps(content))
    written.rename(path)


def _kill(session: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)


def _keep_pictures(folder: Path) -> None:
    kept = os.environ.get("RODIN_PICTURES")
    if kept:
        Path(kept).mkdir(parents=True, exist_ok=True)
        for picture in folder.glob("*.png"):
            shutil.copy(picture, kept)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    # Not pytest's tmp_path: it must be under /tmp to be seen in a Debian root too.
    with tempfile.TemporaryDirectory(prefix="rodin-window-", dir="/tmp") as made:
        yield Path(made)


@pytest.fixture
def folder() -> Iterator[Path]:
    with _folder() as made:
        yield made


@pytest.fixture(scope="session")
def installed() -> Iterator[Path]:
    """A new profile, the extension installed in it by Blender's own tool."""
    with tempfile.TemporaryDirectory(prefix="rodin-installed-", dir="/tmp") as profile:
        command = [os.environ["RODIN_WINDOW_BLENDER"], "--command", "extension", "install-file", "-r", "user_default"]
        command += ["-e", os.environ["RODIN_ZIP"]]
        subprocess.run(command, env=_environment(Path(profile)), check=True, capture_output=True, timeout=120)
        yield Path(profile)


@pytest.fixture(scope="session")
def _blender(installed: Path) -> Iterator[Blender]:
    with _folder() as made:
        blender = Blender(os.environ["RODIN_WINDOW_BLENDER"], installed, made, quits=False)
        yield blender
        blender.quit()


@pytest.fixture
def window(_blender: Blender, folder: Path) -> Window:
    """A window that has played other scenarios before, as an artist's is open all day."""
    return Window(_blender, folder)


@pytest.fixture
def new_window(folder: Path, installed: Path) -> Window:
    """A new Blender for each scenario, for what happens as it starts or quits."""
    return Window(Blender(os.environ["RODIN_WINDOW_BLENDER"], installed, folder, quits=True), folder)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(begins_when_asked=True) as running:
        yield running


@pytest.fixture
def connected(simulator: Simulator) -> dict[str, str]:
    return {"RODIN_API_URL": simulator.url, "RODIN_API_KEY": API_KEY}
