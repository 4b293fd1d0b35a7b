"""What a code host offers as *Download ZIP* is installed, and is the same extension as the zip that is built."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import bpy
import pytest
from conftest import PACKAGE, Service
from test_extension import ENABLE, IS_MODULE
from test_outlives import Profile

ROOT = Path(__file__).parents[2]
LEFT_OUT = {".git", "dist", "__pycache__", ".hypothesis", ".mypy_cache", ".ruff_cache"}
"""What is not in the repository, see .gitignore."""
WHAT_IS_THERE = f"""
import json, os, sys
import bpy
bpy.ops.preferences.addon_enable(module={PACKAGE!r})
import truststore
from {PACKAGE} import scripting
print(json.dumps({{
    "preferences": type(bpy.context.preferences.addons[{PACKAGE!r}].preferences).__name__,
    "tasks": len(bpy.context.window_manager.rodin.tasks),
    "scripting": scripting.__name__,
    "file": scripting.__file__,
}}))
sys.stdout.flush()
bpy.ops.preferences.addon_disable(module={PACKAGE!r})
print(hasattr(bpy.types.WindowManager, "rodin"))
"""


def of_code_host(folder: Path) -> Path:
    """The archive as `git archive --prefix=rodin-for-blender-main/` makes it."""
    archive = folder / "rodin-for-blender-main.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for parent, folders, files in os.walk(ROOT):
            folders[:] = [name for name in folders if name not in LEFT_OUT]
            for name in files:
                if name != ".git":
                    path = Path(parent) / name
                    target.write(path, "rodin-for-blender-main" / path.relative_to(ROOT))
    return archive


@pytest.mark.skipif(
    not bpy.app.binary_path and bpy.app.version < (4, 5), reason="the wheel of 4.2 crashes when it reads preferences"
)
def test_the_archive_of_the_repository_is_installed_and_works_as_it_is(service: Service, tmp_path: Path) -> None:
    profile = Profile(tmp_path, service)
    profile.install(of_code_host(tmp_path))
    script = tmp_path / "what_is_there.py"
    # The command needs it again; a module's commands enable what is there.
    script.write_text(WHAT_IS_THERE if IS_MODULE else f"{WHAT_IS_THERE}{ENABLE}")
    answer = json.dumps(service.add([[[0, "Done"]]], prompt="A glazed vase"))
    profile.environment["RODIN_API_KEY"] = "simulated-api-key"
    waiting = ("--command", "rodin", "wait", "-", "--json")
    said = profile.blender("--online-mode", "--python", str(script), *waiting, given=answer)
    found, *tasks = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert found["preferences"] == "RODIN_Preferences" and found["tasks"] == 0
    assert found["scripting"] == f"{PACKAGE}.scripting"
    assert Path(found["file"]).parts[-3:] == ("rodin_blender", "rodin_blender", "scripting.py"), "not the built one"
    assert "False" in said.splitlines(), "disabled, it leaves nothing"
    assert [task["status"] for task in tasks] == ["DONE"]

    profile.install(Path(os.environ["RODIN_ZIP"]))
    assert [task["name"] for task in profile.rodin("list")] == ["A glazed vase"], "the built zip takes its place"
