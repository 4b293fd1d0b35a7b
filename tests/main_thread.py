"""Watches the main thread: lists each file, folder, socket, process or database that the extension opens there.

By Python's own audit events, so that nothing is patched. Importing the extension's modules is Blender's matter and
does not count.
"""

from __future__ import annotations

import sys
import threading

_WATCHED = (
    "open",
    "socket.",
    "sqlite3.",
    "subprocess.",
    "os.",
    "shutil.",
    "tempfile.",
    "urllib.",
    "http.",
    "time.sleep",
)
_HARMLESS = ("os.putenv", "os.unsetenv")

offences: list[str] = []


def watch(package: str) -> None:
    """From now on, for the rest of the process: an audit hook cannot be taken away."""
    inside = f"{package.replace('.', '/').rpartition('/')[2]}/"
    main = threading.main_thread()

    def hook(event: str, args: tuple[object, ...]) -> None:
        if not event.startswith(_WATCHED) or event in _HARMLESS or threading.current_thread() is not main:
            return
        frame, ours = sys._getframe(1), ""
        while frame is not None:
            name = frame.f_code.co_filename
            if "importlib" in name:
                return
            if "/addons_core/io_" in name or name.endswith(f"{inside}blender/importing/importers.py"):
                # Blender's own importers read their file there, and there is no other way to have them. What is read
                # of it just before comes from where a worker has looked already.
                return
            if name.endswith(f"{inside}handlers.py"):
                return  # What a studio's own function does is its matter.
            if inside in name and "/extensions/" in name:
                ours = ours or f"{name.rpartition(inside)[2]}:{frame.f_lineno}"
            frame = frame.f_back
        if ours:
            offences.append(f"{event} {args[:1]!r} at {ours}")

    sys.addaudithook(hook)
