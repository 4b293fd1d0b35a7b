"""Result files as the service hands them out, made here, so that their licence is the project's own."""

from __future__ import annotations

import io
from functools import cache

import numpy
import trimesh
from PIL import Image


@cache
def result_files() -> dict[str, bytes]:
    """The files of a finished task by name: two textured GLB models, a texture and a preview picture."""
    texture = _texture()
    return {
        "base_basic_pbr.glb": _glb(texture, roughness=0.35),
        "base_basic_shaded.glb": _glb(texture, roughness=1.0),
        "texture_diffuse.png": _encoded(texture, "PNG"),
        "preview.webp": _encoded(texture.resize((256, 256)), "WEBP"),
    }


def _texture() -> Image.Image:
    rows, columns = numpy.mgrid[0:512, 0:512] / 512.0
    bands = 0.5 + 0.5 * numpy.sin(2 * numpy.pi * (6 * rows + 0.6 * numpy.sin(4 * numpy.pi * columns)))
    dark, light = numpy.array([48, 92, 112]), numpy.array([236, 196, 128])
    pixels = dark + bands[..., None] * (light - dark)
    return Image.fromarray(pixels.astype("uint8"))


def _glb(texture: Image.Image, roughness: float) -> bytes:
    # A vase: a turned profile, about 1.9 units high and standing on the ground, as the service's models do.
    height = numpy.linspace(0.0, 1.9, 48)
    radius = 0.34 + 0.22 * numpy.sin(height * 2.6 + 0.3) * numpy.exp(-height * 0.35)
    profile = numpy.column_stack([numpy.concatenate([[0.0], radius]), numpy.concatenate([[0.0], height])])
    mesh = trimesh.creation.revolve(profile, sections=48)
    angle = numpy.arctan2(mesh.vertices[:, 1], mesh.vertices[:, 0]) / (2 * numpy.pi) + 0.5
    mesh.visual = trimesh.visual.TextureVisuals(
        uv=numpy.column_stack([angle, mesh.vertices[:, 2] / 1.9]),
        material=trimesh.visual.material.PBRMaterial(
            name="Glaze", baseColorTexture=texture, roughnessFactor=roughness, metallicFactor=0.0
        ),
    )
    # glTF is Y up.
    mesh.apply_transform(trimesh.transformations.rotation_matrix(-numpy.pi / 2, [1, 0, 0]))
    return bytes(mesh.export(file_type="glb"))


def _encoded(picture: Image.Image, kind: str) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind)
    return content.getvalue()
