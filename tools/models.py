"""Result files as the service hands them out, made here, so that their license is the project's own.

Every model is turned on a lathe: a smooth profile (radius and height, from the middle of the foot over the lip to the
middle of the inside, see shapes.py) goes around an axis. So its textures, normals and picture all come from the same
few formulas.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy
import trimesh
from numpy import ndarray
from PIL import Image

from . import shapes

HEIGHT = 1.9
TEXTURE = 1024
PICTURE = 256
ROWS, COLUMNS = 112, 80


def _towards(x: float, y: float, z: float) -> ndarray:
    return numpy.array([x, y, z], "float32") / numpy.float32(numpy.linalg.norm([x, y, z]))


# Directions to the lights. glTF is Y up, its front looks along Z.
KEY, FILL = _towards(-0.7, 0.9, 0.7), _towards(0.9, 0.2, 0.4)


@dataclass(frozen=True)
class Finish:
    """What a surface is made of, all over the texture; row 0 is the middle of the foot. `relief` is a height."""

    color: ndarray
    roughness: ndarray
    metallic: ndarray
    relief: ndarray


class Profile:
    """A smooth curve through the corners `points`, standing on the ground and HEIGHT high."""

    def __init__(self, points: list[tuple[float, float]]) -> None:
        curve = numpy.array(points)
        for _ in range(5):
            # Chaikin: each corner is cut at a quarter and three quarters of its edges.
            cut = numpy.stack([0.75 * curve[:-1] + 0.25 * curve[1:], 0.25 * curve[:-1] + 0.75 * curve[1:]], axis=1)
            curve = numpy.concatenate([curve[:1], cut.reshape(-1, 2), curve[-1:]])
        curve[:, 1] -= curve[:, 1].min()
        self._curve = curve * (HEIGHT / curve[:, 1].max())
        steps = numpy.diff(self._curve, axis=0)
        self._way = _running_sum(numpy.hypot(*steps.T))
        angle = numpy.unwrap(numpy.arctan2(*steps.T))
        self._bend = _running_sum(numpy.abs(numpy.diff(angle, append=angle[-1])))
        self.length = self._way[-1]
        self.widest = self._curve[:, 0].max()
        self.lip = self._way[self._curve[:, 1].argmax()] / self.length

    def rows(self, count: int) -> ndarray:
        """Places on the curve, from 0 to 1, closer together where it bends."""
        measure = self._way / self._way[-1] + self._bend / self._bend[-1]
        return numpy.interp(numpy.linspace(0.0, 2.0, count), measure, self._way) / self.length

    def at(self, places: ndarray | float) -> tuple[ndarray, ndarray]:
        """Radius and height at places from 0 to 1."""
        radius, height = (numpy.interp(places * self.length, self._way, values) for values in self._curve.T)
        return radius, height

    def around(self, places: ndarray, columns: int) -> tuple[ndarray, ndarray]:
        """Points and normals of the turned surface, each of the shape (places, columns, 3); Y is up."""
        radius, height = self.at(places)
        before, after = (numpy.column_stack(self.at(numpy.clip(places + step, 0, 1))) for step in (-0.002, 0.002))
        along, up = (after - before).T / numpy.hypot(*(after - before).T)
        radius, height, along, up = (values.astype("float32") for values in (radius, height, along, up))
        angle = numpy.linspace(0, 2 * numpy.pi, columns, dtype="float32")
        cosine, sine, one = numpy.cos(angle), numpy.sin(angle), numpy.ones_like(angle)
        points = [numpy.outer(radius, cosine), numpy.outer(height, one), -numpy.outer(radius, sine)]
        normals = [numpy.outer(up, cosine), numpy.outer(-along, one), -numpy.outer(up, sine)]
        return numpy.stack(points, axis=-1), numpy.stack(normals, axis=-1)


def result_files(prompt: str = "", proportions: tuple[int, ...] | None = None) -> dict[str, bytes]:
    """The files of a finished task by name: two textured GLB models, a texture and a preview picture.

    `proportions` are those of glTF's axes, which the models have but for some percent, as the service's do.
    """
    return dict(_files(shapes.of(prompt).name, proportions))


@lru_cache(maxsize=64)
def _files(name: str, proportions: tuple[int, ...] | None) -> dict[str, bytes]:
    look = _look(name)
    stretch = numpy.ones(3)
    if proportions:
        wide = 2 * look.profile.widest
        about = numpy.array([1.03, 1.0, 0.97]) * proportions / max(proportions)
        stretch = HEIGHT * about / numpy.array([wide, HEIGHT, wide])
    return {
        "base_basic_pbr.glb": _glb(name, look.profile, look.maps, stretch),
        "base_basic_shaded.glb": _glb(name, look.profile, look.baked, stretch),
        **look.pictures,
    }


@dataclass(frozen=True)
class Look:
    """What is the same of a thing, whatever its proportions."""

    profile: Profile
    maps: dict[str, Image.Image | float]
    baked: dict[str, Image.Image | float]
    pictures: dict[str, bytes]


@cache
def _look(name: str) -> Look:
    shape = next(shape for shape in (shapes.GLAZED_VASE, *shapes.BY_WORD.values()) if shape.name == name)
    profile = Profile(shape.side)
    finish = _glaze(profile, shape.glaze) if shape.glaze else _brass(profile)
    color = _picture(finish.color)
    _points, normals = profile.around(_middles(), TEXTURE)
    shaded = _picture(finish.color * _light(normals)[..., None])
    mixed = [numpy.ones_like(finish.roughness), finish.roughness, finish.metallic]
    return Look(
        profile,
        {
            "baseColorTexture": _as_jpeg(color),
            "metallicRoughnessTexture": _as_jpeg(_picture(numpy.stack(mixed, axis=-1))),
            "normalTexture": _as_jpeg(_normal_map(profile, finish.relief)),
            "roughnessFactor": 1.0,
            "metallicFactor": 1.0,
        },
        {"baseColorTexture": _as_jpeg(shaded), "roughnessFactor": 1.0, "metallicFactor": 0.0},
        {"texture_diffuse.png": _encoded(color, "PNG"), "preview.webp": _encoded(_preview(profile), "WEBP")},
    )


def _glaze(profile: Profile, colors: shapes.Glaze) -> Finish:
    """A glaze that ran down over buff stoneware, thick below and thin at the lip."""
    random = numpy.random.default_rng(7)
    height, outside = _height_and_outside(profile)
    runs = _noise(random, 3, 22) * 0.6 + _noise(random, 6, 60) * 0.4
    cloud = _clouds(random, 6, 10)
    grain = _noise(random, 700, 600)
    specks = _smooth(0.10, 0.05, _squared_distance_to_scattered(random, 150, 120) + 0.4 * _noise(random, 150, 120))
    edge = numpy.where(outside, 0.14 + 0.18 * _smooth(0.1, 0.9, _noise(random, 2, 17)) + 0.05 * runs, -1.0)
    glazed = _smooth(-0.012, 0.012, height - edge)
    bead = numpy.exp(-(((height - edge - 0.03) / 0.03) ** 2))
    # Thin glaze breaks to brown; below the neck it gathers and darkens.
    thin = _smooth(1.76, 1.90, height + 0.06 * (runs - 0.5)) * (0.5 + 0.5 * outside)
    deep = _smooth(0.15, 1.0, (1.75 - height) / 1.7 + 0.55 * (runs - 0.5) + 0.35 * (cloud - 0.5))
    glaze = _between(colors.light, colors.deep, deep)
    glaze = _between(glaze, colors.pale, 0.5 * _smooth(0.55, 0.9, runs) * _smooth(0.7, 1.5, height))
    glaze = _between(glaze, colors.bead, 0.6 * bead)
    glaze = _between(glaze, (0.40, 0.20, 0.08), thin)
    glaze = _between(glaze, (0.10, 0.07, 0.05), 0.55 * specks)
    clay = _between((0.56, 0.40, 0.27), (0.70, 0.55, 0.40), 0.6 * cloud + 0.4 * grain)
    clay = _between(clay, (0.22, 0.13, 0.08), 0.7 * specks)
    rings = numpy.sin(height * 150 + 3 * cloud)
    return Finish(
        color=_between(clay, glaze, glazed),
        roughness=numpy.where(glazed > 0.5, 0.10 + 0.10 * cloud + 0.15 * thin, 0.78),
        metallic=numpy.zeros_like(glazed),
        relief=glazed * 0.010 + bead * 0.006 + 0.002 * runs * glazed + (1 - glazed) * (0.0012 * rings + 0.001 * grain),
    )


def _brass(profile: Profile) -> Finish:
    """Turned brass: a hammered bowl under a scale of degrees, darkened where no hand rubs it."""
    random = numpy.random.default_rng(11)
    height, outside = _height_and_outside(profile)
    cloud = _clouds(random, 5, 8)
    scratches = _noise(random, 512, 6)
    hammered = _smooth(1.02, 1.06, height) * _smooth(1.56, 1.53, height) * outside
    dimples = _squared_distance_to_scattered(random, 60, 44)
    ticks = numpy.zeros_like(cloud)
    for count, top in ((120, 1.69), (40, 1.71), (12, 1.735)):
        distance = numpy.abs((_middles() * count + 0.5) % 1.0 - 0.5) / count * TEXTURE
        ticks = numpy.maximum(ticks, (distance < 1.3) & (height > 1.64) & (height < top))
    lines = sum(numpy.exp(-(((height - line) / 0.006) ** 2)) for line in (1.60, 1.64, 1.76))
    engraved = numpy.maximum(ticks, numpy.minimum(lines, 1.0)) * outside
    ridges = hammered * _smooth(0.15, 0.55, dimples)
    tarnish = numpy.clip(0.9 * _smooth(0.45, 0.85, cloud) + 0.5 * (~outside), 0, 1)
    color = _between((0.93, 0.70, 0.36), (0.62, 0.40, 0.17), 0.65 * tarnish)
    color = _between(color, (0.98, 0.80, 0.48), 0.5 * ridges)
    color = _between(color, (0.10, 0.06, 0.03), 0.9 * engraved)
    return Finish(
        color=color,
        roughness=0.17 + 0.20 * tarnish + 0.08 * scratches + 0.4 * engraved,
        metallic=numpy.ones_like(cloud) - 0.6 * engraved,
        relief=0.012 * hammered * dimples - 0.006 * engraved + 0.0006 * scratches * (1 - hammered),
    )


def _middles() -> ndarray:
    """Of the texture's rows or columns, from 0 to 1."""
    return (numpy.arange(TEXTURE, dtype="float32") + 0.5) / TEXTURE


def _height_and_outside(profile: Profile) -> tuple[ndarray, ndarray]:
    """Of the texture's rows: how high they come to lie, and whether they are still before the lip."""
    rows = _middles()[:, None]
    return profile.at(rows)[1].astype("float32"), rows < profile.lip


def _noise(random: numpy.random.Generator, rows: int, columns: int) -> ndarray:
    """Smooth noise from about 0 to 1 over the texture, which meets itself around the axis."""
    grid = random.random((rows, columns), dtype=numpy.float32)
    wrapped = Image.fromarray(numpy.concatenate([grid[:, -2:], grid, grid[:, :2]], axis=1))
    resized = wrapped.resize((TEXTURE, TEXTURE), Image.Resampling.BICUBIC, box=(2, 0, columns + 2, rows))
    return numpy.asarray(resized)


def _clouds(random: numpy.random.Generator, rows: int, columns: int) -> ndarray:
    octaves = [_noise(random, rows * 2**octave, columns * 2**octave) / 2**octave for octave in range(4)]
    return sum(octaves[1:], octaves[0]) / 1.875


def _squared_distance_to_scattered(random: numpy.random.Generator, rows: int, columns: int) -> ndarray:
    """From each pixel to the nearest of points scattered one to a cell; the unit is a cell."""
    jitter = random.random((rows, columns, 2), dtype=numpy.float32)
    y, x = _middles()[:, None] * rows, _middles()[None, :] * columns
    nearest = numpy.full((TEXTURE, TEXTURE), 9.0, numpy.float32)
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            cell_y, cell_x = numpy.floor(y) + down, numpy.floor(x) + across
            offset = jitter[cell_y.astype(int) % rows, cell_x.astype(int) % columns]
            distance = (cell_y + offset[..., 0] - y) ** 2 + (cell_x + offset[..., 1] - x) ** 2
            nearest = numpy.minimum(nearest, distance)
    return nearest


def _smooth(low: float, high: float, values: ndarray) -> ndarray:
    """0 up to `low`, 1 from `high` on."""
    part = numpy.clip((values - low) / (high - low), 0, 1)
    return part * part * (3 - 2 * part)


def _between(first: ndarray | tuple[float, ...], second: ndarray | tuple[float, ...], part: ndarray) -> ndarray:
    """The color that is `part` of the way from the first to the second."""
    first, second = numpy.asarray(first, "float32"), numpy.asarray(second, "float32")
    return first + (second - first) * part.astype("float32")[..., None]


def _running_sum(steps: ndarray) -> ndarray:
    return numpy.concatenate([[0.0], numpy.cumsum(steps)])


def _normal_map(profile: Profile, relief: ndarray) -> Image.Image:
    radius, _height = profile.at(_middles())
    pixel = numpy.maximum(2 * numpy.pi * radius, 0.05)[:, None] / TEXTURE
    across = (numpy.roll(relief, -1, axis=1) - numpy.roll(relief, 1, axis=1)) / (2 * pixel)
    along = numpy.gradient(relief, axis=0) * (TEXTURE / profile.length)
    normals = numpy.stack([-across, -along, numpy.ones_like(relief)], axis=-1)
    normals /= numpy.linalg.norm(normals, axis=-1, keepdims=True)
    return _picture(normals * 0.5 + 0.5)


def _glb(name: str, profile: Profile, material: dict[str, Image.Image | float], stretch: ndarray) -> bytes:
    places = profile.rows(ROWS)
    points, normals = profile.around(places, COLUMNS + 1)
    points, normals = points * stretch, normals / stretch
    normals /= numpy.linalg.norm(normals, axis=-1, keepdims=True)
    corner = numpy.arange(ROWS * (COLUMNS + 1)).reshape(ROWS, COLUMNS + 1)
    here, right, above, beyond = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
    lower, upper = numpy.stack([here, right, beyond], axis=-1), numpy.stack([here, beyond, above], axis=-1)
    # At the two ends one of a square's triangles has no area.
    faces = numpy.concatenate([lower[1:].reshape(-1, 3), upper[:-1].reshape(-1, 3)])
    u, v = numpy.meshgrid(numpy.linspace(0, 1, COLUMNS + 1), places)
    mesh = trimesh.Trimesh(points.reshape(-1, 3), faces, vertex_normals=normals.reshape(-1, 3), process=False)
    mesh.visual = trimesh.visual.TextureVisuals(
        uv=numpy.column_stack([u.ravel(), v.ravel()]),
        material=trimesh.visual.material.PBRMaterial(name=name, **material),
    )
    scene = trimesh.Scene()
    scene.add_geometry(mesh, node_name=name, geom_name=name)
    return bytes(scene.export(file_type="glb", include_normals=True))


def _light(normals: ndarray) -> ndarray:
    """How bright matt white looks under a sky, a fill light and a key light."""
    key, fill = (numpy.clip(normals @ direction, 0, 1) for direction in (KEY, FILL))
    return 0.34 + 0.10 * normals[..., 1] + 0.16 * fill + 0.62 * key


def _preview(profile: Profile) -> Image.Image:
    """The model in gray clay, seen from the side."""
    size = 2 * PICTURE
    side = 1.3 * max(HEIGHT, 2 * profile.widest)
    along = ((numpy.arange(size) + 0.5) / size - 0.5) * side
    radius, height = profile.at(numpy.linspace(0.0, profile.lip, 20 * size))
    outline = numpy.full(size, 1e-6)
    numpy.maximum.at(outline, numpy.searchsorted(along, height - HEIGHT / 2), radius)
    across = along / outline[:, None]
    towards = numpy.sqrt(numpy.clip(1.0 - across**2, 0.0, 1.0))
    up = numpy.broadcast_to(-numpy.gradient(outline, along)[:, None], across.shape)
    normals = numpy.stack([across, up, towards], axis=-1)
    normals /= numpy.linalg.norm(normals, axis=-1, keepdims=True)
    gray = numpy.where(abs(across) < 1.0, 0.9 * _light(normals), 0.90)
    picture = _picture(numpy.repeat(gray[..., None], 3, axis=-1))
    return picture.resize((PICTURE, PICTURE), Image.Resampling.LANCZOS)


def _picture(values: ndarray) -> Image.Image:
    """A picture of values from 0 to 1, given from the bottom row to the top one."""
    return Image.fromarray((numpy.clip(values[::-1], 0, 1) * 255 + 0.5).astype("uint8"))


def _as_jpeg(picture: Image.Image) -> Image.Image:
    # trimesh embeds a picture that says JPEG as one, and any other as a PNG many times as large.
    copy = picture.copy()
    copy.format = "JPEG"
    return copy


def _encoded(picture: Image.Image, kind: str) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, quality=92)
    return content.getvalue()
