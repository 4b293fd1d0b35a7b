# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that begin with everything imported: one process imports the command line, and each program is a fork of it.

Of each of the thousand commands that the tests run, the imports were four fifths of the work. A fork has its own
environment, folder and streams, ends by itself, and is a child of the tests' process like any other.

    python -m tests.unit.forking NUMBER     the process that forks; NUMBER is the descriptor of its socket
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
READ_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "TZ", "TMPDIR")
"""How the names of variables begin that a fork comes too late for."""
_SUBREAPER = 36
"""Of prctl(2): a descendant whose parent ends becomes a child of this process."""
_LONGEST_REQUEST = 1 << 20
_asking = threading.Lock()


class Forked(subprocess.Popen[bytes]):
    """Like `python -c PROGRAM WORDS` in ROOT: a Popen whose program is forked. On Linux only.

    What is read at a program's start, see `READ_AT_START`, has no effect.
    """

    def __init__(self, program: str, words: list[str], env: dict[str, str]) -> None:
        pipe = subprocess.PIPE
        super().__init__(["-c", program, *words], env=env, stdin=pipe, stdout=pipe, stderr=pipe)

    def _execute_child(self, args: list[str], *how: Any) -> None:  # type: ignore[override]
        """In place of Popen's own, which forks and executes."""
        env, stdin, _stdin, _stdout, stdout, _stderr, stderr = how[5], *how[9:15]
        request = json.dumps({"words": args[1:], "environment": env}).encode()
        with _asking:
            forker = _forker()
            socket.send_fds(forker, [len(request).to_bytes(4, "big") + request], [stdin, stdout, stderr])
            self.pid = int(forker.recv(32))
        self._child_created = True
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)


@cache
def _forker() -> socket.socket:
    """The way to this process's forker, which ends with it."""
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)
    ours, its = socket.socketpair()
    with its:
        command = [sys.executable, "-m", "tests.unit.forking", str(its.fileno())]
        subprocess.Popen(command, cwd=ROOT, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return ours


def _serve(asked: socket.socket) -> None:
    """Fork for each request. Returns in a fork only, which then runs its program."""
    while True:
        content, streams, _, _ = socket.recv_fds(asked, _LONGEST_REQUEST, 3)
        if not content:
            sys.exit()
        size = int.from_bytes(content[:4], "big")
        while len(content) < size + 4:
            content += asked.recv(_LONGEST_REQUEST)
        # A process in between ends at once, so that the fork becomes the child of who asked for it.
        read, write = os.pipe()
        between = os.fork()
        if not between:
            if pid := os.fork():
                os.write(write, str(pid).encode())
                os._exit(0)
            asked.close()
            os.close(read)
            os.close(write)
            _become(json.loads(content[4:]), streams)
            return
        os.waitpid(between, 0)
        asked.send(os.read(read, 32))
        for descriptor in (read, write, *streams):
            os.close(descriptor)


def _become(request: dict[str, Any], streams: list[int]) -> None:
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # They stay open for as long as the program runs.
    sys.stdin = sys.__stdin__ = open(0)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w")  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115
    os.environ.clear()
    os.environ.update(request["environment"])
    # What a shell starts in the background, such as a CI's run, ignores Ctrl+C, and so do its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["-c", *request["words"][1:]]
    sys.orig_argv = [sys.executable, "-c", *request["words"]]


if __name__ == "__main__":
    import gc

    import rodin_blender.command_line.main
    import rodin_blender.service.client  # noqa: F401, it brings `requests`

    # What is there now is not collected when a fork ends, which would be most of its work.
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    exec(sys.orig_argv[2], {"__name__": "__main__"})
