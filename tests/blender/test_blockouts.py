"""A blockout as the wish: its box goes along, and the model that comes fills it, whatever its own proportions."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from conftest import Rodin
from mathutils import Euler, Matrix, Quaternion, Vector
from test_imports import glb

UNITS = (1.0, 0.01, 0.001)
"""Of a scene: how many meters one of its units has."""


@pytest.fixture(autouse=True)
def _empty_file(rodin: Rodin) -> Iterator[None]:
    bpy.ops.wm.read_homefile(use_empty=True)
    yield
    bpy.ops.wm.read_homefile(use_empty=True)


def block(name: str, size: tuple[float, float, float], middle: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Any:
    """A box whose sides are those, around a place of its own axes, in meters."""
    corners = [Vector((x, y, z)) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]
    per_meter = 1.0 / bpy.context.scene.unit_settings.scale_length
    points = [per_meter * (Vector(middle) + Vector(size) * corner) for corner in corners]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points, [], [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    return item


def stand(
    item: bpy.types.Object,
    place: tuple[float, float, float] = (0.0, 0.0, 0.0),
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0),
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> bpy.types.Object:
    """Place in meters, turn in degrees."""
    per_meter = 1.0 / bpy.context.scene.unit_settings.scale_length
    item.matrix_basis = Matrix.LocRotScale(Vector(place) * per_meter, Euler(map(math.radians, turn)), Vector(scale))
    return item


def below(item: bpy.types.Object, **how: Any) -> bpy.types.Object:
    """The same object, below a new empty that stands so."""
    parent = bpy.data.objects.new("Parent", None)
    bpy.context.scene.collection.objects.link(parent)
    stand(parent, **how)
    top = item
    while top.parent:
        top = top.parent
    top.parent = parent
    return item


def ten_boxes() -> list[bpy.types.Object]:
    tall = block("Tall", (0.4, 0.3, 2.0), (0.0, 0.0, 1.0))
    flat = stand(block("Flat", (1.6, 0.9, 0.05)), (3.0, 0.0, 0.7))
    turned = stand(block("Turned", (1.2, 0.4, 0.6)), (0.0, 3.0, 0.0), (0.0, 0.0, 35.0))
    leaning = stand(block("Leaning", (0.5, 0.7, 1.1)), (3.0, 3.0, 1.0), (20.0, -40.0, 70.0))
    scaled = stand(block("Scaled", (1.0, 1.0, 1.0)), (6.0, 0.0, 0.0), (0.0, 0.0, 15.0), (0.3, 2.0, 0.8))
    mirrored = stand(block("Mirrored", (1.0, 0.5, 0.7), (0.4, 0.0, 0.0)), (6.0, 3.0, 0.0), scale=(-1.0, 1.0, 1.0))
    nested = below(stand(block("Nested", (0.2, 0.9, 0.4)), (1.0, 0.0, 0.5)), place=(9.0, 0.0, 0.0), turn=(0.0, 0.0, 45.0))
    below(nested, place=(0.0, 2.0, 0.0), turn=(90.0, 0.0, 0.0), scale=(2.0, 2.0, 2.0))
    stretched = below(stand(block("Stretched", (1.0, 0.6, 0.3)), (0.5, 0.0, 0.0)), place=(9.0, 4.0, 0.0), scale=(1.0, 3.0, 0.5))
    sheared = below(
        stand(block("Sheared", (1.0, 1.0, 1.0)), turn=(0.0, 0.0, 30.0)), place=(0.0, 7.0, 0.0), scale=(2.0, 1.0, 1.0)
    )
    grown = stand(block("Grown", (0.3, 0.3, 0.3)), (4.0, 7.0, 0.0))
    array = grown.modifiers.new("Array", "ARRAY")
    array.count = 4
    return [tall, flat, turned, leaning, scaled, mirrored, nested, stretched, sheared, grown]


def points_of(objects: list[bpy.types.Object]) -> list[Vector]:
    """The places of all vertices in the world, as they are seen."""
    graph = bpy.context.evaluated_depsgraph_get()
    seen = [item.evaluated_get(graph) for item in objects if item.type == "MESH"]
    return [item.matrix_world @ vertex.co for item in seen for vertex in item.data.vertices]


def along(axes: Matrix, points: list[Vector]) -> tuple[Vector, Vector]:
    turned = [axes.transposed() @ point for point in points]
    return Vector(map(min, zip(*turned, strict=True))), Vector(map(max, zip(*turned, strict=True)))


def check_fits(model: list[bpy.types.Object], blockout: bpy.types.Object, turn: Any) -> None:
    """Within 1 % of each side, along the box's own axes."""
    axes = turn.to_matrix()
    low, high = along(axes, points_of([blockout]))
    model_low, model_high = along(axes, points_of(model))
    for axis in range(3):
        side = high[axis] - low[axis]
        assert abs(model_low[axis] - low[axis]) < 0.01 * side, f"{blockout.name}: axis {axis} begins elsewhere"
        assert abs(model_high[axis] - high[axis]) < 0.01 * side, f"{blockout.name}: axis {axis} ends elsewhere"


WEDGE = struct.pack("<12f", 0.1, 0, 0.3, 1.4, 0, 0.3, 0.1, 1.9, 0.3, 0.1, 0, 0.8)
"""A tetrahedron, 1.3 wide, 1.9 high and 0.5 deep, which does not stand at the origin."""
INDICES = struct.pack("<12H", 0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3)


def model(nodes: list[dict[str, Any]], *, meshes: int = 1) -> bytes:
    return glb(
        {
            "asset": {"version": "2.0"},
            "scenes": [{"nodes": [0]}],
            "nodes": nodes,
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}] * meshes,
            "accessors": [
                {
                    "bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3",
                    "min": [0.1, 0.0, 0.3], "max": [1.4, 1.9, 0.8],
                },
                {"bufferView": 1, "componentType": 5123, "count": 12, "type": "SCALAR"},
            ],
            "bufferViews": [
                {"buffer": 0, "byteOffset": 0, "byteLength": len(WEDGE)},
                {"buffer": 0, "byteOffset": len(WEDGE), "byteLength": len(INDICES)},
            ],
            "buffers": [{"byteLength": len(WEDGE) + len(INDICES)}],
        },
        WEDGE + INDICES,
    )  # fmt: skip


TURNED = [0.2, 0.1, 0.3, 0.927]
MODELS = {
    "one mesh": model([{"mesh": 0}]),
    "wrapped": model([{"children": [1], "rotation": TURNED}, {"mesh": 0, "scale": [0.5, 0.5, 0.5]}]),
    "parts": model(
        [
            {"children": [1, 2]},
            {"mesh": 0, "translation": [2, 0, 0], "rotation": TURNED, "children": [3]},
            {"mesh": 1, "scale": [0.5, 2, 1]},
            {"mesh": 2, "translation": [0, 3, 0], "scale": [1, 0.2, 1], "rotation": TURNED},
        ],
        meshes=3,
    ),
    "one mesh twice": model(
        [{"children": [1, 2]}, {"mesh": 0, "rotation": TURNED}, {"mesh": 0, "translation": [1, 1, 0]}]
    ),
    "mirrored": model([{"mesh": 0, "scale": [-1, 1, 1]}]),
}


@pytest.fixture
def fitted(rodin: Rodin, tmp_path: Path) -> Callable[..., Any]:
    """Brings a model into a blockout's box; its objects, the box's turn."""

    def call(content: bytes, item: bpy.types.Object) -> tuple[list[bpy.types.Object], Any]:
        path = tmp_path / "model.glb"
        path.write_bytes(content)
        bpy.context.view_layer.update()
        middle, box = rodin.module("blender.scene.blockouts").box_of(item, bpy.context.evaluated_depsgraph_get())
        imported = rodin.module("blender.importing").import_file(str(path), name="A vase", at=middle, box=box)
        return list(imported.collection.objects), Quaternion(box.turn)

    return call


@pytest.mark.parametrize("meters", UNITS)
@pytest.mark.parametrize("kind", MODELS)
def test_a_model_fills_each_of_ten_boxes(fitted: Callable[..., Any], kind: str, meters: float) -> None:
    bpy.context.scene.unit_settings.scale_length = meters
    for item in ten_boxes():
        objects, turn = fitted(MODELS[kind], item)
        check_fits(objects, item, turn)
        if item.name != "Sheared":
            axes = [column.normalized() for column in item.matrix_world.to_3x3().col]
            for number, axis in enumerate(axes):
                sign = -1.0 if item.name == "Mirrored" and number == 0 else 1.0
                assert axis.dot(turn.to_matrix().col[number]) * sign > 0.99999, "its axes are the blockout's"
        if kind != "one mesh twice" and kind != "mirrored":
            for part in objects:
                assert tuple(part.matrix_world.to_scale()) == pytest.approx((1.0, 1.0, 1.0), abs=1e-4), part.name


def test_a_blockout_without_a_thickness_flattens_nothing(fitted: Callable[..., Any]) -> None:
    item = stand(block("Rug", (2.0, 1.0, 0.0)), (1.0, 2.0, 3.0))
    objects, turn = fitted(MODELS["one mesh"], item)
    low, high = along(turn.to_matrix(), points_of(objects))
    assert tuple(high - low)[:2] == pytest.approx((2.0, 1.0), rel=1e-4)
    assert (high - low).z > 0.5 and ((low + high) / 2).z == pytest.approx(3.0, rel=1e-4)


def test_a_flat_model_stays_flat(fitted: Callable[..., Any]) -> None:
    content = MODELS["one mesh"].replace(
        WEDGE, struct.pack("<12f", 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 2, 0)
    )
    item = block("Sign", (1.0, 0.1, 3.0))
    objects, turn = fitted(content, item)
    low, high = along(turn.to_matrix(), points_of(objects))
    assert tuple(high - low) == pytest.approx((1.0, 0.0, 3.0), abs=1e-4)


def test_what_has_no_size_is_no_blockout(rodin: Rodin) -> None:
    empty = bpy.data.objects.new("Nothing", bpy.data.meshes.new("Nothing"))
    bpy.context.scene.collection.objects.link(empty)
    bpy.context.view_layer.update()
    blockouts = rodin.module("blender.scene.blockouts")
    with pytest.raises(rodin.module("service.errors").BadInput, match="'Nothing' has no size"):
        blockouts.box_of(empty, bpy.context.evaluated_depsgraph_get())
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    bpy.context.scene.collection.objects.link(camera)
    camera.select_set(True)
    assert blockouts.selected(bpy.context) == []
