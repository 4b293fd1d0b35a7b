# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/examples/kitsu_publish.py with Kitsu's own client, and a server that answers as that expects."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from tests.unit import shell as shells
from tests.unit.shell import GLB, ROOT, Shell
from tools import blenders

shell = shells.shell

EXAMPLE = ROOT / "docs" / "examples" / "kitsu_publish.py"
CLIENT = ["gazu==1.3.1"]


@dataclass
class Kitsu:
    """What is found by name is there; what is posted is kept."""

    url: str = ""
    tokens: set[str] = field(default_factory=set)
    posted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    files: list[bytes] = field(default_factory=list)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        request = Request(environ)
        self.tokens.add(request.headers.get("Authorization", ""))
        answer = self._posted(request) if request.method == "POST" else self._found(request)
        return Response(json.dumps(answer), content_type="application/json")(environ, start)

    def _posted(self, request: Request) -> dict[str, Any]:
        path = request.path.removeprefix("/api/")
        if request.files:
            self.files += (file.read() for file in request.files.values())
            return {"id": path.split("/")[-1]}
        values = request.get_json(silent=True) or {}
        made = {"id": str(uuid.uuid4()), "project_id": "p1", **values}
        self.posted.append((path, made))
        kind = "asset" if path.endswith("/assets/new") else "task" if path == "data/tasks" else "comment"
        if "preview" not in path:
            self.kept.setdefault(kind, made)
        return made

    def _found(self, request: Request) -> Any:
        path = request.path.removeprefix("/api/data/")
        if path == "assets/all" or path.endswith("/assets"):
            return [self.kept["asset"]] if "asset" in self.kept else []
        if path.endswith("/comments"):
            return [self.kept["comment"]] if "comment" in self.kept else []
        if path == "tasks" or path.endswith("/tasks") or "/tasks" in path:
            return [self.kept["task"]] if "task" in self.kept else []
        return [{"id": f"{path}-1", "name": "x", "short_name": "wfa", "project_id": "p1"}]


@pytest.fixture
def kitsu() -> Iterator[Kitsu]:
    made = Kitsu()
    server = make_server("127.0.0.1", 0, made, threaded=True)
    made.url = f"http://127.0.0.1:{server.server_port}/api"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def variables(kitsu: Kitsu) -> dict[str, str]:
    path = str(blenders.packages("gazu", CLIENT))
    return {"PYTHONPATH": path, "KITSU_HOST": kitsu.url, "KITSU_TOKEN": "bot", "KITSU_PROJECT": "Show"}


def test_a_result_is_published_once(shell: Shell, kitsu: Kitsu, variables: dict[str, str], tmp_path: Path) -> None:
    shell.simulator.story, shell.simulator.result_files = [[(0.0, "Done")]], shells.FILES
    command = shlex.join([sys.executable, str(EXAMPLE)])
    words = ("generate", "--prompt", "A vase", "--to", tmp_path / "out", "--exec", command)
    ran = shell.run(*words, **variables)
    assert ran.code == 0, ran.err
    paths = [path for path, _ in kitsu.posted]
    (comment,) = (values for path, values in kitsu.posted if path.endswith("/comment"))
    assert "data/tasks" in paths and any(path.endswith("/assets/new") for path in paths)
    assert comment["comment"].startswith("Rodin task ") and kitsu.files == [GLB]
    assert kitsu.tokens == {"Bearer bot"}
    comment["text"] = comment["comment"]
    ran = shell.run("download", "A vase", "--exec", command, **variables)
    assert ran.code == 0 and kitsu.files == [GLB], ran.err


def test_a_failed_task_is_not_published(kitsu: Kitsu, variables: dict[str, str]) -> None:
    given = json.dumps({"status": "FAILED", "folder": "", "files": []})
    done = subprocess.run(
        [sys.executable, EXAMPLE], input=given, text=True, env={**os.environ, **variables}, check=False
    )
    assert done.returncode == 0 and not kitsu.posted and not kitsu.tokens
