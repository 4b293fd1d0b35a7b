"""Runs inside a real Blender without a window: does what Blender's timers do where there is one, and what it is told.

It tells what a user reads: the properties that the panel draws. Its lines are those of follower.py.
"""

import importlib
import sys
import time
from pathlib import Path
from queue import Empty
from typing import Any

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from lines import commands, our_threads, tell

PACKAGE = "bl_ext.user_default.rodin_blender"


def module(name: str) -> Any:
    # Anew each time: a reload of the scripts makes new ones.
    return importlib.import_module(f"{PACKAGE}.{name}")


def session() -> Any:
    return module("blender.app").app().session


class Shown:
    """What a user reads, told when it changes."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self._told: dict[str, Any] = {}

    def tell(self) -> None:
        known = session()
        for item in bpy.context.window_manager.rodin.tasks:
            task = known.tasks.get(item.task_id)
            self._once(
                "shown",
                item.task_id,
                status=item.status,
                jobs_done=item.jobs_done,
                message=item.message or str(known.files.troubles.get(item.task_id, "")),
                saved=item.downloaded,
                loading=item.task_id in known.files.downloads and bool(known.files.downloads[item.task_id].received),
                text=repr(task),
            )
            number = self.numbers.get(task.subscription_key.reveal()) if task else None
            if number is not None:
                self._once("followed", item.task_id, number=number)
        self._once("notice", "", text=known.news.notice)
        self._once("obstacle", "", text=str(known.blocker) if known.blocker else "")

    def _once(self, kind: str, task_id: str, **what: Any) -> None:
        if self._told.get(f"{kind} {task_id}", {} if kind == "shown" else {"text": ""}) != what:
            self._told[f"{kind} {task_id}"] = what
            tell(kind, **({"task_id": task_id} if task_id else {}), **what)


def do(wish: dict[str, Any], shown: Shown) -> None:
    match wish["do"]:
        case "follow":
            answer = wish["answer"]
            key = answer["jobs"]["subscription_key"]
            shown.numbers[key] = wish["number"]
            bpy.ops.rodin.track(subscription_key=key, task_uuid=answer["uuid"], name=answer["prompt"])
        case "download":
            if wish["task_id"] not in session().files.downloads:
                bpy.ops.rodin.download(task_id=wish["task_id"], import_model=False)
        case "generate":
            bpy.ops.rodin.generate(prompt=wish["prompt"], images="\n".join(wish["images"]))
        case "send_now":
            bpy.ops.rodin.send_again(task_id=wish["task_id"])
        case "load":
            bpy.ops.wm.read_homefile(use_empty=True)
        case "undo":
            bpy.ops.ed.undo_push(message="before")
            bpy.ops.mesh.primitive_cube_add()
            bpy.ops.ed.undo_push(message="a cube")
            bpy.ops.ed.undo()
            bpy.ops.ed.redo()
            bpy.ops.ed.undo()
        case "reload":
            bpy.ops.script.reload()
        case "again":
            disable()
            bpy.ops.preferences.addon_enable(module=PACKAGE)
        case other:
            raise SystemExit(f"nobody knows how to {other}")
    tell("did", what=wish["do"])


def disable() -> None:
    run = module("blender.timer").run
    began = time.monotonic()
    bpy.ops.preferences.addon_disable(module=PACKAGE)
    took = time.monotonic() - began
    threads = our_threads()
    tell("stopped", threads=threads, timer=bpy.app.timers.is_registered(run), ended=took < 1.0)


def main() -> None:
    bpy.context.preferences.system.network_timeout = 2
    if PACKAGE not in bpy.context.preferences.addons:
        bpy.ops.preferences.addon_enable(module=PACKAGE)
    wishes, shown = commands(), Shown()
    tell("ready")
    while True:
        try:
            wish = wishes.get_nowait()
        except Empty:
            wish = {}
        if wish.get("do") in ("stop", "quit"):
            break
        if wish:
            do(wish, shown)
        wait = module("blender.timer").run()
        shown.tell()
        time.sleep(min(wait or 0.05, 0.05))
    if wish["do"] == "stop":
        disable()
    else:
        # Blender ends with its script, the extension enabled.
        tell("quitting")


main()
