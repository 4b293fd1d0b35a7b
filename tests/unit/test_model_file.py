"""How many triangles a model has, as its file tells before it is imported."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from rodin_blender.storage import model_file


def gltf(*counts: int, mode: int | None = None, indexed: bool = True) -> dict[str, object]:
    """A document with a mesh of one primitive for each number of corners."""
    more = {} if mode is None else {"mode": mode}
    corners = {"indices": 0} if indexed else {}
    primitives = [
        {"attributes": {"POSITION": number}, **dict.fromkeys(corners, number), **more}
        for number in range(len(counts))
    ]
    return {"meshes": [{"primitives": primitives}], "accessors": [{"count": count} for count in counts]}


@pytest.mark.parametrize(
    ("document", "count"),
    [
        (gltf(30, 60), 30),
        (gltf(30, indexed=False), 10),
        (gltf(30, mode=5), 28),
        (gltf(30, mode=1), 0),
        ({"meshes": [{"primitives": [{}]}]}, None),
        ({}, None),
    ],
)
def test_a_gltf_tells_by_its_accessors(tmp_path: Path, document: dict[str, object], count: int | None) -> None:
    text = json.dumps(document).encode()
    (tmp_path / "a.gltf").write_bytes(text)
    head = struct.pack("<4sII", b"glTF", 2, 20 + len(text)) + struct.pack("<I4s", len(text), b"JSON")
    (tmp_path / "a.glb").write_bytes(head + text)
    assert [model_file.triangles(tmp_path / name) for name in ("a.gltf", "a.glb")] == [count, count]


def test_an_stl_tells_in_its_header_or_by_its_text(tmp_path: Path) -> None:
    binary = tmp_path / "b.stl"
    binary.write_bytes(b"solid".ljust(80) + struct.pack("<I", 3) + bytes(150))
    assert model_file.triangles(binary) == 3
    text = tmp_path / "t.stl"
    text.write_text("solid\n" + "facet normal 0 0 1\nendfacet\n" * 5 + "endsolid\n")
    assert model_file.triangles(text) == 5


@pytest.mark.parametrize("piece", [1 << 20, 64, 31])
@pytest.mark.parametrize(("face", "of_each"), [("f 1 2 3\n", 1), ("f 1/1 2/2 3/3 4/4\n", 2)])
def test_an_obj_is_counted_wherever_it_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, face: str, of_each: int, piece: int
) -> None:
    monkeypatch.setattr(model_file, "_PIECE", piece)
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\n" + face * 1000)
    found = model_file.triangles(path)
    assert found == 1000 * of_each


def fbx_node(name: bytes, at: int, form: str, properties: bytes = b"", children: tuple[bytes, ...] = ()) -> bytes:
    """A node that lies at `at`, whose children are the names of nodes with an array of twelve corners."""
    size = struct.calcsize(form)
    body, place = b"", at + size + len(name) + len(properties)
    for child in children:
        inner = fbx_node(child, place + len(body), form, b"i" + struct.pack("<III", 12, 0, 48) + bytes(48))
        body += inner
    end = place + len(body)
    return struct.pack(form, end, 1, len(properties), len(name)) + name + properties + body


@pytest.mark.parametrize(("version", "form"), [(7400, "<IIIB"), (7700, "<QQQB")])
def test_a_binary_fbx_tells_by_the_corners_of_its_faces(tmp_path: Path, version: int, form: str) -> None:
    path = tmp_path / "a.fbx"
    head = b"Kaydara FBX Binary  \0\x1a\0" + struct.pack("<I", version)
    other = fbx_node(b"GlobalSettings", len(head), form, children=(b"PolygonVertexIndex",))
    at = len(head) + len(other)
    size = struct.calcsize(form)
    geometry = fbx_node(b"Geometry", at + size + 7, form, b"properties", (b"Vertices", b"PolygonVertexIndex"))
    objects = struct.pack(form, at + size + 7 + len(geometry), 0, 0, 7) + b"Objects" + geometry
    path.write_bytes(head + other + objects + bytes(size))
    assert model_file.triangles(path) == 4
    path.write_bytes((head + other + objects)[: at + size + 20])
    assert model_file.triangles(path) in (None, 0)


def test_others_and_broken_ones_do_not_tell(tmp_path: Path) -> None:
    for name in ("a.fbx", "a.usdz", "a.glb", "a.stl", "gone.obj"):
        if name != "gone.obj":
            (tmp_path / name).write_bytes(b"glTF")
        assert not model_file.triangles(tmp_path / name)
