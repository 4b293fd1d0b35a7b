# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a task as values: safe names, which is a model, the size that a file states, and how far a download is."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rodin_blender.service.files import Progress, SavedFile, models, safe_name, safe_names, stated_size

HOSTILE = [
    "../up.glb",
    "..",
    "",
    "/etc/passwd",
    "C:\\Windows\\evil.dll",
    "\u200b..\u200b",
    "..\\..\\up.glb",
    "nul.glb",
    "a.glb",
    "A.GLB",
    "a.glb.part",
    ".a.glb.part",
    "语" * 200 + ".glb",
    "n" * 5000,
    "new\nline\0.glb",
    "\ud800.glb",
]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("base.glb", "base.glb"),
        ("a/b\\c.glb", "c.glb"),
        ("..", "file"),
        ("...", "file"),
        ("a/", "file"),
        ("\u200b..\u200b", "file"),
        (".hidden", "hidden"),
        ("trailing. ", "trailing"),
        ("a.\u200b", "a"),
        ("what?.glb", "what_.glb"),
        ("x:stream.glb", "x_stream.glb"),
        ("CON", "_CON"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("com1 .glb", "_com1.glb"),
        ("lpt³", "_lpt³"),
        ("console.glb", "console.glb"),
        ("e\u0301.glb", "\u00e9.glb"),
        ("taken.GLB", "taken-2.GLB"),
        ("n" * 200 + ".glb", "n" * 97 + ".glb"),
        ("n" * 99 + " " + "n" * 30, "n" * 99),
    ],
)
def test_a_name_is_made_safe_and_otherwise_kept(name, safe):
    assert safe_name(name, {"Taken.glb"}) == safe


NASTY = st.text(st.sampled_from("aA. /\\:\0\u200b\u0301é語nulCON-2\ud800ßſ\u2028"), max_size=130)


@given(st.lists(st.text() | NASTY | st.sampled_from(HOSTILE), max_size=6))
@example(["a" * 130, "A" * 130, "a" * 130 + "b"])
@example(["é.glb", "e\u0301.glb"])
@settings(max_examples=300, deadline=None)
def test_any_names_become_different_valid_ones(names):
    taken: set[str] = set()
    for name in names:
        safe = safe_name(name, taken)
        assert Path(safe).name == PureWindowsPath(safe).name == safe
        assert safe not in {".", ".."}
        assert not PureWindowsPath(safe).is_reserved()
        assert safe.isprintable()
        assert not safe.startswith(".")
        assert safe == safe.strip(" .")
        assert not set(safe) & set('<>:"/\\|?*')
        assert len(os.fsencode(f".{safe}.part")) <= 255
        same = unicodedata.normalize("NFC", safe.casefold())
        assert same not in {unicodedata.normalize("NFC", other.casefold()) for other in taken}
        taken.add(safe)


def test_names_that_are_alike_get_numbers_in_their_order():
    names = ["m.glb", "M.GLB", "a/m.glb", "m-2.glb", "", ".."]
    assert safe_names(names) == ["m.glb", "M-2.GLB", "m-3.glb", "m-2-2.glb", "file", "file-2"]


# Models.


@pytest.mark.parametrize(
    ("names", "best_first"),
    [
        (["a_shaded.glb", "a.png", "a_pbr.glb", "preview.webp"], ["a_pbr.glb", "a_shaded.glb"]),
        (["base.glb", "BASE_SHADED.GLB", "Base_Pbr.Glb"], ["Base_Pbr.Glb", "BASE_SHADED.GLB", "base.glb"]),
        (["z.fbx", "a.obj", "m_pbr.usdz"], ["m_pbr.usdz", "z.fbx", "a.obj"]),
        (["b_pbr.fbx", "a_pbr.glb"], ["b_pbr.fbx", "a_pbr.glb"]),
        (["a.glb.zip", "glb", ".glb", "pbr", "a_pbr.png", "notes.glb.txt"], [".glb"]),
        (["a.GLTF", "b.stl", "c.usd", "d.usda", "e.usdc", "f.abc"], ["a.GLTF", "b.stl", "c.usd", "d.usda", "e.usdc"]),
        ([], []),
    ],
)
def test_models_are_found_by_their_ending_and_the_best_comes_first(names, best_first):
    assert [file.name for file in models(SavedFile(name, 1) for name in names)] == best_first


def test_an_empty_file_is_no_model():
    assert models([SavedFile("a_pbr.glb", 0), SavedFile("b.glb", 1)]) == [SavedFile("b.glb", 1)]


@pytest.mark.parametrize(("name", "kind"), [("a.GLB", ".glb"), ("a.tar.gz", ".gz"), ("a", ""), ("a.", ".")])
def test_a_kind_is_the_ending_in_lower_case(name, kind):
    assert SavedFile(name, 1).kind == kind


# Sizes that files state.


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (b"glTF\x02\0\0\0\x10\x27\0\0", 10_000),
        (b"glTF\x02\0\0\0\xff\xff\xff\xff", 2**32 - 1),
        (b"RIFF\x04\0\0\0WEBP", 12),
        (b"RIFF\x00\x10\0\0WEBP", 0x1008),
        # No file of these kinds is shorter than its head, whatever that says.
        (b"glTF", 12),
        (b"glTF\x02\0\0\0\x10\x27", 10_000),
        (b"glTF" + bytes(8), 12),
        (b"RIFF", 12),
        (b"\x89PNG\r\n\x1a\n\0\0\0\r", None),
        (b"", None),
    ],
)
def test_the_size_that_a_file_states(head, size):
    assert stated_size(head) == size


# How far it is.


@pytest.mark.parametrize(
    ("progress", "share"),
    [
        (Progress(), 0.0),
        (Progress(waiting="for something"), 0.0),
        (Progress("a", 1, 4), 0.0),
        (Progress("a", 1, 4, 50, 100), 0.125),
        (Progress("d", 4, 4, 100, 100), 1.0),
        (Progress("b", 2, 4, 50, None), 0.25),
        (Progress("b", 2, 4, 0, 0), 0.25),
        (Progress("b", 2, 4, 300, 100), 0.5),
    ],
)
def test_the_share_counts_files_and_the_part_of_this_one(progress, share):
    assert progress.share == pytest.approx(share)
