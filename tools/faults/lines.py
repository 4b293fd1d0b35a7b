"""Lines of JSON between the campaign and a process that follows tasks. Standard library only: for Blender, too."""

from __future__ import annotations

import json
import sys
import threading
import time
from queue import SimpleQueue
from typing import Any


def tell(kind: str, **what: Any) -> None:
    print("@" + json.dumps({"kind": kind, **what}), flush=True)


def commands() -> SimpleQueue[dict[str, Any]]:
    """What is written to our standard input, as it comes; a stop at its end."""
    wishes: SimpleQueue[dict[str, Any]] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            wishes.put(json.loads(line))
        wishes.put({"do": "stop"})

    threading.Thread(target=read, name="commands", daemon=True).start()
    return wishes


def our_threads(patience: float = 5.0) -> list[str]:
    """The names of the extension's threads that do not end in this time."""
    end = time.monotonic() + patience
    while True:
        names = [thread.name for thread in threading.enumerate() if thread.name.startswith("rodin")]
        if not names or time.monotonic() > end:
            return names
        time.sleep(0.02)
