"""What the demos share: the built extension, a simulated service, processes that end, and how they end themselves.

Standard library only, as the demos themselves.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tools import build
from tools.blenders import ROOT, NotAvailable, tools_python

LONGEST_START = 60.0
_FOLDERS = "/tmp" if os.name == "posix" else None


class Trouble(Exception):
    """A demo did not go as it should; the text says where."""


def built(executable: Path, folder: Path) -> Path:
    """The extension's zip: the one that the lanes have built, or new, by way of this Blender."""
    archive = build.given_or_built(executable, folder)
    say(f"{archive.name} is built from this checkout.")
    return archive


@contextmanager
def simulated_service(folder: Path, *, speed: float) -> Iterator[dict[str, str]]:
    """A simulator as a process of its own. Gives the environment variables that point the extension at it."""
    python = tools_python()
    said, trouble = folder / "simulator.txt", folder / "simulator-trouble.txt"
    command = [str(python), "-m", "tools.simulator", "--speed", str(speed)]
    with said.open("w") as out, trouble.open("w") as err, process(command, stdout=out, stderr=err) as running:
        end = time.monotonic() + LONGEST_START
        while not said.read_text().endswith("\n"):
            if running.poll() is not None or time.monotonic() > end:
                raise Trouble(f"the simulator does not start; it said:\n{last_lines(trouble)}")
            time.sleep(0.05)
        yield dict(part.split("=", 1) for part in said.read_text().split())


@contextmanager
def process(
    command: list[str],
    *,
    stdout: int | IO[str],
    stderr: int | IO[str] = subprocess.STDOUT,
    env: dict[str, str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended on the way out, whatever happens."""
    running = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=ROOT, env=env, text=True, errors="replace"
    )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(5.0)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def environment(folder: Path, service: dict[str, str]) -> dict[str, str]:
    # A BLENDER_USER_… of the user's would win over the throw-away profile.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BLENDER_USER_")}
    profile = {"BLENDER_USER_RESOURCES": str(folder / "profile")}
    # Blender takes one that is not there for none, and would use its user's own.
    (folder / "profile").mkdir(exist_ok=True)
    return {**kept, **service, **profile, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def last_lines(output: Path) -> str:
    return "\n".join(output.read_text(errors="replace").splitlines()[-30:])


def say(text: str) -> None:
    print(text, flush=True)


def perform(name: str, play: Callable[[Path], None]) -> int:
    """Play a demo in a folder of its own that is removed then. Returns the exit code: 2 where it cannot run here."""
    # So that the processes begun here are ended then, too.
    for wish in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(wish, lambda number, _frame: sys.exit(128 + number))
    try:
        # The folder's name has no spaces wherever the checkout is, and a Debian root sees it: it sees no other.
        with tempfile.TemporaryDirectory(prefix="rodin-demo-", dir=_FOLDERS, ignore_cleanup_errors=True) as folder:
            play(Path(folder))
    except NotAvailable as error:
        print(f"The {name} cannot run here: {error}.", file=sys.stderr)
        return 2
    except Trouble as error:
        print(f"The {name} failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
