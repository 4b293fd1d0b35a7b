"""Runs inside a Blender without a window: what enabling the extension costs, and the memory that its tasks take."""

import gc
import importlib
import json
import os
import sys
import time
from pathlib import Path

import bpy

PACKAGE = "bl_ext.user_default.rodin_blender"
PATIENCE = 30.0


def memory():
    """Megabytes that this process takes up."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


given = json.loads(Path(os.environ["RODIN_BENCH"]).read_text())
facts = {"requests_before": "requests" in sys.modules}
before, began = set(sys.modules), time.perf_counter()
bpy.ops.preferences.addon_enable(module=PACKAGE)
facts["enabling"] = time.perf_counter() - began
facts["modules"] = sorted(set(sys.modules) - before)
began = time.perf_counter()
import requests  # noqa: F401 - it is timed

facts["importing_requests"] = time.perf_counter() - began

# Timers do not fire without a window: called as Blender would. Until every task is shown and some answers came in.
run = importlib.import_module(f"{PACKAGE}.blender.timer").run
session = importlib.import_module(f"{PACKAGE}.blender.app").app().session
end = time.monotonic() + PATIENCE
answers = 0
while answers < min(given["tasks"], 20):
    run()
    time.sleep(0.01)
    answers = len(session.tasks) == given["tasks"] and sum(task.checked_at > 0 for task in session.tasks.values())
    assert time.monotonic() < end, f"{len(session.tasks)} tasks, {answers} answers"
while session.unshown:
    run()
facts["memory"] = memory()
Path(given["facts"]).write_text(json.dumps(facts))
os._exit(0)
