"""Runs inside a Blender without a window: how long an import takes in a large file, ours and Blender's own."""

import importlib
import json
import os
import time
from pathlib import Path

import bpy

PACKAGE = "bl_ext.user_default.rodin_blender"

given = json.loads(Path(os.environ["RODIN_BENCH"]).read_text())
folder = Path(given["facts"]).parent


def make_models():
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.mesh.primitive_uv_sphere_add(segments=64, ring_count=32)
    bpy.ops.export_scene.gltf(filepath=str(folder / "model.glb"))
    bpy.ops.wm.obj_export(filepath=str(folder / "model.obj"))


def make_crowd():
    bpy.ops.wm.read_homefile(use_empty=True)
    mesh = bpy.data.meshes.new("Triangle")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    for number in range(given["objects"]):
        item = bpy.data.objects.new(f"Object {number}", mesh.copy())
        item.location = (number % 141, number // 141, 0.0)
        bpy.context.scene.collection.objects.link(item)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "crowd.blend"))


def import_by_blender(path):
    operator = bpy.ops.import_scene.gltf if path.suffix == ".glb" else bpy.ops.wm.obj_import
    operator(filepath=str(path))


def import_by_ours(path):
    importing = importlib.import_module(f"{PACKAGE}.blender.importing")
    importing.bring(str(path), name="Vase", height=1.0, at=(1.0, 2.0, 3.0))


bpy.ops.preferences.addon_enable(module=PACKAGE)
make_models()
make_crowd()
facts = {}
for kind in ("glb", "obj"):
    times = facts[kind] = {"own": [], "ours": []}
    for _turn in range(given["turns"]):
        for who, run in (("own", import_by_blender), ("ours", import_by_ours)):
            bpy.ops.wm.open_mainfile(filepath=str(folder / "crowd.blend"))
            # As it is once a file has been looked at.
            bpy.context.view_layer.update()
            began = time.process_time()
            run(folder / f"model.{kind}")
            bpy.context.view_layer.update()
            times[who].append(time.process_time() - began)
Path(given["facts"]).write_text(json.dumps(facts))
os._exit(0)
