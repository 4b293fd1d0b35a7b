# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a task as values: safe names, which is a model, the size that a file states, and how far a download is."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rodin_blender.service.files import (
    LONGEST_FOLDER,
    LONGEST_PATH,
    Progress,
    SavedFile,
    fault,
    models,
    preview,
    safe_name,
    safe_paths,
    stated_size,
)

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
        ("half/half\\cup.glb", "half_half_cup.glb"),
        ("..", "file"),
        ("...", "file"),
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
        ("n" * 200 + ".glb", "n" * 56 + ".glb"),
        ("n" * 58 + " " + "n" * 30, "n" * 58 + " n"),
        ("n" * 59 + " " + "n" * 30, "n" * 59),
        # Each of these takes two of the units that Windows counts.
        ("😀" * 50 + ".glb", "😀" * 28 + ".glb"),
        ("n" * 60, "n" * 60),
        ("taken." + "😀" * 12, "taken." + "😀" * 12),
    ],
)
def test_a_name_is_made_safe_and_otherwise_kept(name, safe):
    assert safe_name(name, {"Taken.glb"}) == safe


NASTY = st.text(st.sampled_from("aA. /\\:\0\u200b\u0301é語nulCON-2\ud800ßſ\u2028"), max_size=130)


@given(st.lists(st.text() | NASTY | st.sampled_from(HOSTILE), max_size=6))
@example(["a" * 130, "A" * 130, "a" * 130 + "b"])
@example(["é.glb", "e\u0301.glb"])
@example(["a", "a/b", "A/c", "a/b/c", "x/y/z/a", "x/y/w/a", "a-2"])
@example(["😀" * 40 + "/" + "😀" * 40 + "/" + "😀" * 40 + "." + "😀" * 6] * 12)
@settings(max_examples=300, deadline=None)
def test_any_names_become_different_valid_ones_below_the_folder(names):
    taken: set[str] = set()
    for path in safe_paths(names):
        parts = path.split("/")
        assert 1 <= len(parts) <= 3
        for part in parts:
            assert Path(part).name == PureWindowsPath(part).name == part
            assert part not in {".", ".."}
            assert not PureWindowsPath(part).is_reserved()
            assert part.isprintable()
            assert not part.startswith(".")
            assert part == part.strip(" .")
            assert not set(part) & set('<>:"/\\|?*')
        assert len(f".{path}.version".encode("utf-16-le")) // 2 <= LONGEST_PATH + len("..version")
        assert len(os.fsencode(f".{path.replace('/', '_')}.version")) <= 255
        same = unicodedata.normalize("NFC", path.casefold())
        folders = {other.rpartition("/")[0] for other in taken}
        assert same not in taken and same not in folders, "no file is called as a folder is"
        assert not any(same.startswith(other + "/") for other in taken)
        taken.add(same)


@given(st.text() | NASTY | st.sampled_from(HOSTILE), st.text() | NASTY | st.sampled_from(HOSTILE))
@example("语" * 200, "😀" * 40 + "/" + "😀" * 40 + "/" + "😀" * 40)
@settings(max_examples=100, deadline=None)
def test_folder_and_file_together_stay_under_120_units(task, file):
    (path,) = safe_paths([file])
    whole = f"{safe_name(task, longest=LONGEST_FOLDER)} 1a2b3c4d/.{path}.version"
    assert len(whole.encode("utf-16-le")) // 2 < 120


@pytest.mark.parametrize(
    ("names", "safe"),
    [
        (["m.glb", "M.GLB", "m-2.glb", "", ".."], ["m.glb", "M-2.GLB", "m-2-2.glb", "file", "file-2"]),
        (["pbr/base.obj", "pbr\\base.mtl", "shaded/base.mtl"], ["pbr/base.obj", "pbr/base.mtl", "shaded/base.mtl"]),
        # A folder is one, in whatever case it is written: some systems hold no two.
        (["PBR/base.obj", "pbr/base.mtl", "pbr/BASE.obj"], ["PBR/base.obj", "PBR/base.mtl", "PBR/BASE-2.obj"]),
        (["pbr", "pbr/base.obj", "pbr/t.png"], ["pbr", "pbr-2/base.obj", "pbr-2/t.png"]),
        (["pbr/base.obj", "pbr"], ["pbr/base.obj", "pbr-2"]),
        (["../../up.glb", "/etc/passwd", "C:\\Windows\\evil.dll"], ["up.glb", "etc/passwd", "Windows/evil.dll"]),
        (["a/../b.glb", "./a/./b.glb", "a//c.glb", "a/"], ["a/b.glb", "a/b-2.glb", "a/c.glb", "a-2"]),
        ([" ./\u200b..\u200b/x.glb", "a. /x.glb", ".lock/x.glb"], ["x.glb", "a/x.glb", "lock/x.glb"]),
        (["1/2/3/4/m.obj", "1/2/3/4/m.mtl", "1/2/x/4/m.mtl"], ["1_2_3/4/m.obj", "1_2_3/4/m.mtl", "1_2_x/4/m.mtl"]),
        (["f" * 30 + "1/m.obj", "f" * 30 + "2/m.obj"], ["f" * 20 + "/m.obj", "f" * 18 + "-2/m.obj"]),
        (["nul/con.obj"], ["_nul/_con.obj"]),
    ],
)  # fmt: skip
def test_folders_in_names_are_kept_and_nothing_leads_out(names, safe):
    assert safe_paths(names) == safe


# Models.


@pytest.mark.parametrize(
    ("names", "best_first"),
    [
        (["a_shaded.glb", "a.png", "a_pbr.glb", "preview.webp"], ["a_pbr.glb", "a_shaded.glb"]),
        (["base.glb", "BASE_SHADED.GLB", "Base_Pbr.Glb"], ["Base_Pbr.Glb", "BASE_SHADED.GLB", "base.glb"]),
        (["z.fbx", "a.obj", "m_pbr.usdz"], ["m_pbr.usdz", "z.fbx", "a.obj"]),
        (["b_pbr.fbx", "a_pbr.glb"], ["b_pbr.fbx", "a_pbr.glb"]),
        (["a.glb.zip", "glb", ".glb", "pbr", "a_pbr.png", "notes.glb.txt"], [".glb"]),
        (["shaded/base.obj", "base.obj", "x/PBR/base.obj"], ["x/PBR/base.obj", "shaded/base.obj", "base.obj"]),
        (["pbr.d/base", "a_pbr.d/b.obj"], ["a_pbr.d/b.obj"]),
        (["a.GLTF", "b.stl", "c.usd", "d.usda", "e.usdc", "f.abc"], ["a.GLTF", "b.stl", "c.usd", "d.usda", "e.usdc"]),
        ([], []),
    ],
)
def test_models_are_found_by_their_ending_and_the_best_comes_first(names, best_first):
    assert [file.name for file in models(SavedFile(name, 1) for name in names)] == best_first


def test_an_empty_file_is_no_model():
    assert models([SavedFile("a_pbr.glb", 0), SavedFile("b.glb", 1)]) == [SavedFile("b.glb", 1)]


@pytest.mark.parametrize(("name", "kind"), [("a.GLB", ".glb"), ("a.tar.gz", ".gz"), ("a", ""), ("a.", "."), ("a.b/c", "")])
def test_a_kind_is_the_ending_in_lower_case(name, kind):
    assert SavedFile(name, 1).kind == kind


def test_the_preview_is_found_in_whatever_folder():
    assert preview([SavedFile("a.glb", 1), SavedFile("preview.webp", 9)]) == "preview.webp"
    assert preview([SavedFile("x/preview.webp", 9)]) == "x/preview.webp"
    assert preview([SavedFile("preview.webp", 0), SavedFile("my-preview.webp", 9)]) == ""


# How files begin.

PNG, JPEG, WEBP = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xe0\0\x10JFIF", b"RIFF\x08\0\0\0WEBPVP8 "
GLB = b"glTF\x02\0\0\0\x14\0\0\0"
HTML = b"\n<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"
XML = b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>'
ERROR = b'{"error": "NO_SUCH_TASK"}'


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.glb", GLB),
        ("a.gltf", b'\xef\xbb\xbf{\n"asset": {}'),
        ("a.fbx", b"Kaydara FBX Binary  \0\x1a\0"),
        ("a.fbx", b"; FBX 7.4.0 project file"),
        ("a.obj", b"# Blender\nv 0 0 0"),
        ("a.obj", b"\xef\xbb\xbfmtllib a.mtl"),
        ("a.mtl", b"newmtl a"),
        ("a.stl", b"solid a"),
        ("a.stl", bytes(84)),
        ("a.usda", b"#usda 1.0"),
        ("a.usdc", b"PXR-USDC\0\0"),
        ("a.usdz", b"PK\x03\x04\0"),
        ("a.usd", b"#usda 1.0"),
        ("a.PNG", PNG),
        ("a.jpg", JPEG),
        ("preview.webp", WEBP),
        # Blender takes one for the other, and so may the service.
        ("preview.webp", PNG),
        ("a.png", JPEG),
        # Of these anything may be right.
        ("a.bin", b""),
        ("a.bin", ERROR),
        ("readme", b"<hello>"),
        ("readme.html", HTML),
    ],
)
def test_a_file_that_begins_as_its_kind_does_is_not_faulted(name, head):
    assert fault(name, head, 10_000 if head else 0) is None


@pytest.mark.parametrize("kind", ["glb", "gltf", "fbx", "obj", "mtl", "stl", "usda", "usdc", "usdz", "usd", "png", "jpg", "webp"])
def test_a_file_that_is_empty_a_web_page_or_an_error_is_faulted_whatever_its_kind(kind):
    assert str(fault(f"a.{kind}", b"", 0)) == "It is empty."
    assert str(fault(f"pbr/a.{kind}", HTML, len(HTML))) == "It is a web page."
    assert str(fault(f"a.{kind}", XML, len(XML))) == f"It does not begin as a .{kind} file does."
    if kind != "gltf":
        assert str(fault(f"a.{kind}", ERROR, len(ERROR))) == f"It does not begin as a .{kind} file does."


def test_a_file_shorter_than_it_says_is_faulted():
    assert str(fault("a.glb", GLB, 19)) == "It is incomplete: 19 of the 20 bytes that it says it has."
    assert fault("a.glb", GLB, 20) is fault("a.glb", GLB, 24) is None
    assert str(fault("a.webp", WEBP, 15)) == "It is incomplete: 15 of the 16 bytes that it says it has."
    assert str(fault("a.glb", b"glT", 3)) == "It does not begin as a .glb file does."


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
