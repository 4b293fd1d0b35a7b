"""A process of its own that follows tasks by the real tracker, told what to do by lines of JSON, telling what it shows.

    python -m tools.faults.follower OPTIONS

A line that it tells begins with "@": an event as JSON. Whatever else it prints is for nobody, and watched all the same.
"""

from __future__ import annotations

import json
import signal
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

from rodin_blender.service import paste_parser
from rodin_blender.service.keys import Secret
from rodin_blender.storage import store
from rodin_blender.tasks import schedule
from rodin_blender.tasks.task import Task
from rodin_blender.tracking.messages import (
    Blocker,
    BlockerChanged,
    DownloadEnded,
    Followed,
    Message,
    NotFollowed,
    Notice,
    Settings,
    TaskChanged,
    TaskRemoved,
)
from rodin_blender.tracking.tracker import Tracker
from tools.faults.lines import commands, our_threads, tell


class Follower:
    def __init__(self, path: Path, settings: Settings) -> None:
        self.settings = settings
        self.tracker = Tracker(path, settings)
        self.tasks: dict[str, Task] = {}
        self.blocker: Blocker | None = None
        self.numbers: dict[str, int] = {}

    def handle(self, message: Message) -> None:
        match message:
            case TaskChanged(task):
                self.tasks[task.task_id] = task
                self.show(task)
            case TaskRemoved(task_id):
                self.tasks.pop(task_id, None)
                tell("removed", task_id=task_id)
            case Followed(task):
                tell("followed", number=self.numbers[task.subscription_key.reveal()], task_id=task.task_id)
            case NotFollowed(said) | Notice(said):
                tell("notice", text=str(said))
            case BlockerChanged(blocker):
                self.blocker = blocker
                tell("obstacle", text=str(blocker) if blocker else "")
                for task in self.tasks.values():
                    self.show(task)
            case DownloadEnded(task_id, folder, said):
                tell("download", task_id=task_id, whole=bool(folder), text=str(said or ""))
            case _:
                tell("told", text=repr(message))

    def show(self, task: Task) -> None:
        message = str(self.blocker) if self.blocker and task.followed else task.message
        tell(
            "shown",
            task_id=task.task_id,
            status=str(task.status),
            jobs_done=task.jobs_done,
            message=message,
            watch=str(task.watch),
            failures=task.failures,
            saved=bool(task.download == "SAVED"),
            text=repr(task),
        )

    def do(self, wish: dict[str, Any]) -> None:
        match wish["do"]:
            case "follow":
                self.numbers[wish["answer"]["jobs"]["subscription_key"]] = wish["number"]
                self.tracker.follow(paste_parser.generation_answer(wish["answer"]))
            case "download":
                self.tracker.download(wish["task_id"], Path(wish["folder"]))
            case other:
                raise SystemExit(f"nobody knows how to {other}")


def main() -> None:
    # As Blender 4.3 has it by itself.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    options = json.loads(sys.argv[1])
    store.CLAIM_LASTS = options.get("claim_lasts", store.CLAIM_LASTS)
    pace = schedule.Pace(*options["pace"])
    settings = Settings(options["address"], Secret(options["api_key"]), options["timeout"], pace)
    wishes = commands()
    follower = Follower(Path(options["list"]), settings)
    tell("ready")
    while True:
        try:
            wish = wishes.get_nowait()
        except Empty:
            wish = None
        if wish and wish["do"] == "stop":
            break
        if wish:
            follower.do(wish)
        with suppress(Empty):
            follower.handle(follower.tracker.messages.get(timeout=0.02))
    follower.tracker.stop()
    ended = follower.tracker.join(10.0)
    while not follower.tracker.messages.empty():
        follower.handle(follower.tracker.messages.get())
    tell("stopped", threads=our_threads(), timer=False, ended=ended)


if __name__ == "__main__":
    main()
