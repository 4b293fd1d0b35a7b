"""Watches the main thread: lists each file, folder, socket, process or database that the extension opens there.

By Python's own audit events. It has none for a look at a file that does not open it, so that is given one. Importing the
extension's modules is Blender's matter and does not count.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

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
_LOOKS = ("stat", "lstat", "access", "readlink")
"""Functions of `os` without an audit event, which `pathlib` and `os.path` ask."""
_CALLING = ("call", "_run")
"""The functions of `handlers` that call a studio's own."""

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
            if "importlib" in name and frame.f_code.co_name == "_find_and_load":
                return
            if "/addons_core/io_" in name or name.endswith(f"{inside}blender/importing/importers.py"):
                # Blender's own importers read their file there, and there is no other way to have them. What is read
                # of it just before comes from where a worker has looked already.
                return
            if name.endswith(f"{inside}handlers.py") and frame.f_code.co_name in _CALLING:
                return  # What a studio's own function does is its matter.
            if inside in name and "/extensions/" in name:
                ours = ours or f"{name.rpartition(inside)[2]}:{frame.f_lineno}"
            frame = frame.f_back
        if ours:
            offences.append(f"{event} {args[:1]!r} at {ours}")

    sys.addaudithook(hook)
    for name in _LOOKS:
        setattr(os, name, _audited(name, getattr(os, name)))


def _audited(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def look(*args: Any, **more: Any) -> Any:
        sys.audit(f"os.{name}", *args[:1])
        return function(*args, **more)

    return look
