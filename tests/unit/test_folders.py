# SPDX-License-Identifier: GPL-3.0-or-later
"""One folder of the user's, wherever the extension runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rodin_blender import handlers
from rodin_blender.command_line.host import plain
from rodin_blender.configuration import named_file
from rodin_blender.storage import folders

VARIABLES = ("RODIN_FOLDER", "BLENDER_USER_RESOURCES", "XDG_DATA_HOME", "LOCALAPPDATA")


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/home/ada")


@pytest.mark.parametrize(
    ("platform", "environment", "wanted"),
    [
        ("linux", {}, "/home/ada/.local/share/rodin_blender"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/rodin_blender"),
        ("linux", {"XDG_DATA_HOME": "data"}, "/home/ada/.local/share/rodin_blender"),
        ("darwin", {"XDG_DATA_HOME": "/data"}, "/home/ada/Library/Application Support/rodin_blender"),
        ("win32", {}, "/home/ada/AppData/Local/rodin_blender"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/rodin_blender"),
        ("linux", {"BLENDER_USER_RESOURCES": "/profile"}, "/profile/rodin_blender"),
        ("win32", {"BLENDER_USER_RESOURCES": "/profile", "LOCALAPPDATA": "/local"}, "/profile/rodin_blender"),
        ("linux", {"BLENDER_USER_RESOURCES": "/profile", "RODIN_FOLDER": " ~/rodin "}, "/home/ada/rodin"),
    ],
)
def test_the_folder(
    monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str], wanted: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert folders.user_folder() == Path(wanted)
    if platform != "win32":  # There the system itself is asked where the studio's settings are.
        assert plain().folder == Path(wanted)


def test_a_relative_folder_is_meant_from_where_the_program_was_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started_in = Path.cwd()
    monkeypatch.setenv("RODIN_FOLDER", "show/rodin")
    monkeypatch.setenv("RODIN_CONFIG", "show/rodin.toml")
    monkeypatch.chdir(tmp_path)
    assert folders.user_folder() == started_in / "show/rodin", "and not from where a script has gone since"
    monkeypatch.setenv("RODIN_HOOKS", " show/hooks.py ")
    assert named_file() == str(started_in / "show/rodin.toml")
    assert handlers.named() == str(started_in / "show/hooks.py")
    monkeypatch.setenv("RODIN_CONFIG", "~/rodin.toml")
    monkeypatch.setenv("RODIN_HOOKS", "~/hooks.py")
    assert named_file() == "/home/ada/rodin.toml"
    assert handlers.named() == "/home/ada/hooks.py"
    monkeypatch.setenv("RODIN_HOOKS", "~nobody-of-this-name/hooks.py")
    assert handlers.named().endswith("~nobody-of-this-name/hooks.py"), "no file, which is told with its path"
    monkeypatch.setenv("RODIN_CONFIG", " ")
    monkeypatch.setenv("RODIN_HOOKS", " ")
    assert named_file() == handlers.named() == ""


def test_a_portable_blender_has_a_folder_of_its_own_and_rodin_folder_goes_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    portable = Path("/stick/blender/portable")
    assert folders.user_folder(portable) == portable / "rodin_blender"
    monkeypatch.setenv("RODIN_FOLDER", "/elsewhere")
    assert folders.user_folder(portable) == Path("/elsewhere")
    assert folders.own_folder(portable) == portable / "rodin_blender"
