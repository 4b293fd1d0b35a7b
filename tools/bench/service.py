"""A service in a process of its own, and a list of its tasks for the extension to find.

    python -m tools.bench.service FOLDER --tasks 100 --delay 2

Writes FOLDER/tasks.sqlite and prints the service's address.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from werkzeug.wrappers import Request, Response

from rodin_blender.service import paste_parser
from rodin_blender.storage import store
from rodin_blender.tasks import schedule
from tools import blenders
from tools.simulator import Simulator, Story

JOBS = 5


class Service(Simulator):
    """Answers status calls `delay` seconds late."""

    def __init__(self, delay: float) -> None:
        super().__init__()
        self._delay = delay

    def _status(self, request: Request) -> Response:
        self.released.wait(self._delay)
        return super()._status(request)


def _story(chance: random.Random, seconds: float) -> Story:
    """Jobs that end one after the other; the last one never."""
    ends = sorted(chance.uniform(0.0, seconds) for _ in range(JOBS - 1))
    return [[(0.0, "Generating"), (end, "Done")] for end in ends] + [[(0.0, "Generating")]]


@contextlib.contextmanager
def running(folder: Path, *, tasks: int, delay: float = 0.0, over: float = 60.0) -> Iterator[str]:
    """Its address. The tasks' jobs end in the course of `over` seconds."""
    words = [sys.executable, "-m", "tools.bench.service", folder, f"--tasks={tasks}", f"--delay={delay}"]
    process = subprocess.Popen([*words, f"--over={over}"], cwd=blenders.ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tasks", type=int, default=1)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--over", type=float, default=60.0)
    given = parser.parse_args()
    chance = random.Random(7)
    with Service(given.delay) as service, closing(store.Store(given.folder / "tasks.sqlite")) as listed:
        for number in range(given.tasks):
            answer = service.add(_story(chance, given.over), prompt=f"Model {number + 1}", files={})
            listed.add(schedule.new_task(paste_parser.generation_answer(answer), time.time()))
        print(service.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
