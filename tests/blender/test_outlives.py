"""The user's things outlive the extension: uninstalled, updated, taken back, from another repository, another Blender."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import bpy
import pytest
from conftest import API_KEY, PACKAGE, Rodin, Service, wait_for_no_thread
from test_extension import IS_MODULE, PROGRAM, READY

ZIP = Path(os.environ.get("RODIN_ZIP", ""))


class Profile:
    """A user with a profile of their own, and another Blender for each thing they do."""

    def __init__(self, folder: Path, service: Service) -> None:
        self.folder = folder
        # Blender takes a folder that is not there for none, and would save to its user's own preferences.
        (folder / "profile").mkdir()
        # The user's things and not the profile's: as on a machine where nothing is set apart.
        self.environment = {
            **os.environ,
            "BLENDER_USER_RESOURCES": str(folder / "profile"),
            "RODIN_API_URL": service.url,
        }
        self.environment.pop("RODIN_API_KEY", None)

    @property
    def things(self) -> Path:
        return self.folder / "profile" / "rodin_blender"

    def blender(self, *words: str, given: str = "") -> str:
        # Without --background, as the extension's own commands need none.
        command = [*PROGRAM, "--background", *words]
        done = subprocess.run(
            command, env=self.environment, input=given, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def rodin(self, *words: str, given: str = "") -> list[dict[str, Any]]:
        said = self.blender("--online-mode", "--command", "rodin", *words, "--json", given=given)
        return [json.loads(line) for line in said.splitlines() if line.startswith("{")]

    def install(self, archive: Path) -> None:
        self.blender("--command", "extension", "install-file", "-r", "user_default", "-e", str(archive))

    def uninstall(self) -> None:
        self.blender("--command", "extension", "remove", "rodin_blender")
        assert not list((self.folder / "profile").rglob("blender_manifest.toml"))

    def enter_key(self, tmp: Path) -> None:
        """As from the button, with a crash behind it."""
        script = tmp / "enter.py"
        script.write_text(
            f"import bpy, os, time\nbpy.ops.preferences.addon_enable(module={PACKAGE!r})\n"
            f"bpy.ops.rodin.enter_api_key(api_key={API_KEY!r})\ntime.sleep(1.0)\nos._exit(0)\n"
        )
        self.blender("--python", str(script))


@pytest.fixture
def profile(tmp_path: Path, service: Service) -> Profile:
    return Profile(tmp_path, service)


def version_of(archive: Path, version: str, folder: Path) -> Path:
    """The same zip under another version."""
    changed = folder / f"rodin_blender-{version}.zip"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "blender_manifest.toml":
                content = re.sub(rb'(?m)^version = ".*"', f'version = "{version}"'.encode(), content)
            target.writestr(name, content)
    return changed


def check_all_is_there(profile: Profile, wanted: list[dict[str, Any]]) -> None:
    assert profile.rodin("list") == wanted
    folder = Path(wanted[0]["folder"])
    assert {path.name: path.stat().st_size for path in folder.iterdir() if path.name[0] != "."} == {
        file["name"]: file["size"] for file in wanted[0]["files"]
    }
    assert (profile.things / "api_key").read_text() == API_KEY + "\n"


def begin(profile: Profile, service: Service, tmp_path: Path) -> list[dict[str, Any]]:
    """Enter the key, track a task and download its files. Returns the list from then on."""
    profile.enter_key(tmp_path)
    profile.rodin("track", "-", given=json.dumps(service.add(READY, prompt="A glazed vase")))
    (task,) = profile.rodin("download", "A glazed vase")
    assert Path(task["folder"]).is_relative_to(profile.things) and len(task["files"]) == 4
    return [task]


needs_extension_commands = pytest.mark.skipif(
    IS_MODULE, reason="Blender as a module has no list of installed extensions to remove from"
)


@needs_extension_commands
def test_updated_taken_back_uninstalled_and_installed_again_all_is_there(
    profile: Profile, service: Service, tmp_path: Path
) -> None:
    """What an older version kept in the extension's own folder, too: the first command brings it out of there."""
    profile.install(ZIP)
    wanted = begin(profile, service, tmp_path)
    for version in ("0.9.0", "0.0.9"):
        profile.install(version_of(ZIP, version, tmp_path))
        check_all_is_there(profile, wanted)
    old = profile.folder / "profile" / "extensions" / ".user" / "user_default" / "rodin_blender"
    old.mkdir(parents=True, exist_ok=True)
    _put_back(profile.things, old)
    assert profile.rodin("list") == wanted
    assert not (old / "downloads").exists()
    profile.uninstall()
    assert not (old / "tasks.sqlite").exists()
    profile.install(ZIP)
    check_all_is_there(profile, wanted)


def _put_back(things: Path, old: Path) -> None:
    """The list and the downloads as an older version had them."""
    import sqlite3

    for name in ("tasks.sqlite", "downloads"):
        shutil.move(things / name, old / name)
    (things / "tasks.copy.sqlite").unlink()
    db = sqlite3.connect(old / "tasks.sqlite")
    db.execute("UPDATE task SET folder = replace(folder, ?, ?)", (str(things), str(old)))
    db.commit()
    db.close()


def test_what_an_older_version_kept_is_in_the_list_after_enabling(
    rodin: Rodin, service: Service, tmp_path: Path
) -> None:
    answer = service.add(READY, prompt="A glazed vase")
    task_id = rodin.track(answer)
    rodin.until(lambda: rodin.item(task_id).status == "DONE", "it is done")
    bpy.ops.rodin.download(task_id=task_id, import_model=False)
    rodin.until(lambda: rodin.item(task_id).downloaded, "its files are saved")
    rodin.disable()
    wait_for_no_thread()
    old = Path(bpy.utils.extension_path_user(PACKAGE, create=True))
    things = rodin.store.parent
    _put_back(things, old)
    rodin.enable()
    rodin.until(lambda: rodin.item(task_id) is not None, "it is in the list")
    rodin.until(lambda: rodin.item(task_id).status == "DONE", "it is shown")
    # The tracker may find the list in its place before the worker that brings it there has ended.
    rodin.until(lambda: "now lies in" in rodin.session.news.notice, "it is told")
    assert Path(rodin.item(task_id).folder).is_relative_to(things / "downloads")
    assert Path(rodin.item(task_id).folder, "preview.webp").is_file() and not (old / "downloads").exists()


def test_blender_versions_and_plain_python_share_one_folder(service: Service, tmp_path: Path) -> None:
    """As on a machine where nothing is set apart: all go by the system's folder for this user."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data"), "PYTHONPATH": ""}
    environment.pop("BLENDER_USER_RESOURCES")
    programs = {"{}.{}".format(*bpy.app.version): PROGRAM}
    if IS_MODULE:
        # Another version is at hand where Blender is a module.
        sys.path.insert(0, str(root))
        from tools import blenders

        name = "4.5" if bpy.app.version[:2] != (4, 5) else "5.0"
        programs[name] = [str(blenders.blender(name).executable)]
    # A module's commands enable what is there.
    enable = [] if IS_MODULE else ["--addons", PACKAGE]
    for version, program in programs.items():
        extensions = tmp_path / ".config" / "blender" / version / "extensions" / "user_default"
        with zipfile.ZipFile(ZIP) as archive:
            archive.extractall(extensions / "rodin_blender")
        done = subprocess.run(
            [*program, "--background", *enable, "--command", "rodin", "track", "-"],
            input=json.dumps(service.add()), env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    listed = subprocess.run(
        [sys.executable, "-m", "rodin_blender", "list", "--json"],
        cwd=root, env=environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert (tmp_path / "data" / "rodin_blender" / "tasks.sqlite").is_file()
    assert len(listed.stdout.splitlines()) == len(programs)
