# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths as a user or a studio writes them, on each system."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rodin_blender.service.errors import BadInput
from rodin_blender.storage import paths
from rodin_blender.storage.paths import UndefinedVariable, absolute

BLEND = Path("/show/shot")
VARIABLES = {"SHOW": "/show/one", "DRIVE": "P:/show", "EMPTY": ""}


def whole(written: str, *, windows: bool = False, shares: bool = True, blend: Path | None = BLEND) -> str:
    return str(absolute(written, blend, shares=shares, environment=VARIABLES, windows=windows))


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("/show/rodin", "/show/rodin"),
        (" $SHOW/rodin ", "/show/one/rodin"),
        ("${SHOW}_old/x", "/show/one_old/x"),
        ("/a$$b/%SHOW%", "/a$b/%SHOW%"),
        ("//models", "/show/shot/models"),
        ("//models/", "/show/shot/models"),
        ("//./a/b", "/show/shot/a/b"),
        ("//../a/b", "/show/a/b"),
        ("//..", "/show"),
        ("/日本語/größe", "/日本語/größe"),
    ],
)
def test_elsewhere_than_on_windows(written: str, found: str) -> None:
    assert whole(written) == found


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("P:/show/rodin", "P:/show/rodin"),
        ("%DRIVE%/rodin", "P:/show/rodin"),
        ("$DRIVE/rodin", "P:/show/rodin"),
        ("\\\\server\\share\\rodin", "\\\\server\\share\\rodin"),
        ("//server/share/rodin", "//server/share/rodin"),
        ("\\\\server\\c$\\rodin", "\\\\server\\c$\\rodin"),
    ],
)
def test_on_windows(written: str, found: str) -> None:
    assert PureWindowsPath(whole(written, windows=True)) == PureWindowsPath(found)


def test_two_slashes_are_blenders_own_in_its_preferences_and_with_a_single_name() -> None:
    for windows in (False, True):
        assert whole("//assets/rodin", shares=False, windows=windows) == "/show/shot/assets/rodin"
        assert whole("//assets\\rodin", shares=False, windows=windows) == "/show/shot/assets/rodin"
        assert whole("//models", windows=windows) == "/show/shot/models"
        with pytest.raises(BadInput, match="which is not saved yet"):
            whole("//models", windows=windows, blend=None)


@pytest.mark.parametrize(
    ("written", "windows", "said"),
    [
        ("models", False, "write one such as /show/rodin or ~/rodin, or //rodin beside the .blend file"),
        ("./models", False, "no whole path"),
        ("P:/show", False, "no whole path"),
        ("\\\\server\\share", False, "no whole path"),
        ("/show", True, r"write one such as P:/show/rodin or \\server\share"),
        ("P:show", True, "no whole path"),
        ("//server/share/x", False, "write //./server/share/x for a folder beside the .blend file"),
        ("$NONE/x", False, "names the variable NONE, which is not set"),
        ("$EMPTY/x", False, "names the variable EMPTY, which is not set"),
        ("%NONE%/x", True, "names the variable NONE, which is not set"),
        ("${SHOW/x", False, "write ${NAME}, or $$ for a $"),
        ("~nobody-is-called-so/x", False, "home folder is not known"),
    ],
)
def test_what_is_wrong_says_what_to_write(written: str, windows: bool, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        whole(written, windows=windows)
    assert said in str(caught.value) and written in str(caught.value)


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    assert whole("~/rodin") == "/home/anna/rodin"


@given(st.text(), st.booleans())
def test_whatever_is_written_is_a_whole_path_or_a_sentence(written: str, shares: bool) -> None:
    try:
        assert absolute(written, BLEND, shares=shares, environment=VARIABLES, windows=False).is_absolute()
    except BadInput as error:
        assert str(error).endswith(".")


def test_a_variable_that_is_not_set_is_seen_when_the_path_is_needed() -> None:
    paths.check("$THERE_IS_NONE_OF_THAT/x")
    with pytest.raises(UndefinedVariable):
        whole("$THERE_IS_NONE_OF_THAT/x")
