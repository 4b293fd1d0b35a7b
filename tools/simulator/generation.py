"""POST /rodin as the service takes it: multipart only, fields in its own form, pictures that are some, and a price.

What is allowed stands here a second time on purpose, as the documentation tells it: a client is not checked by its own
table.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.formparser import parse_form_data
from werkzeug.wrappers import Request

GEN_1 = ("Sketch", "Regular", "Detail", "Smooth")
WITH_CREATIVE = ("Gen-2.5-Medium", "Gen-2.5-High", "Gen-2.5-Extreme-High")
GEN_2_5 = ("Gen-2.5-Extreme-Low", "Gen-2.5-Low", *WITH_CREATIVE)
TIERS = (*GEN_1, "Gen-2", *GEN_2_5)

LARGEST_PICTURE = 16 * 1024 * 1024
BEGINNINGS = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff", "image/webp": b"RIFF"}

CHOICES: dict[str, tuple[str, ...]] = {
    "geometry_file_format": ("glb", "usdz", "fbx", "obj", "stl"),
    "material": ("PBR", "Shaded", "All", "None", "Hybrid"),
    "quality": ("high", "medium", "low", "extra-low"),
    "mesh_mode": ("Raw", "Quad"),
    "geometry_instruct_mode": ("faithful", "creative"),
    "texture_mode": ("legacy", "extreme-low", "low", "medium", "high", "extreme-high"),
    "is_symmetric": ("symmetric", "balanced", "asymmetric", "unknown"),
    "condition_mode": ("concat", "fuse"),
    **dict.fromkeys(
        ("use_original_alpha", "TAPose", "hd_texture", "texture_delight", "preview_render"), ("true", "false")
    ),
}
LISTS = ("addons", "bbox_condition", "image_label")
LABELS = {"F", "FL", "FR", "L", "R", "B", "BL", "BR", "U", "D", "?"}
ONLY_GEN_2_5 = ("geometry_instruct_mode", "texture_mode", "is_symmetric", "texture_delight", "image_label")


class Outage(Exception):
    """The service cannot read the form at all, and answers HTTP 500."""


@dataclass(frozen=True)
class Sent:
    """A submission that arrived whole. `outcome` is "" where it was accepted, else why not."""

    at: float
    prompt: str
    fields: list[tuple[str, str]]
    pictures: list[dict[str, Any]]
    """Each with name, kind, size and sha256, in their order."""
    tier: str
    price: float
    outcome: str = ""
    task_uuid: str = ""
    call: str = "rodin"
    """The path of the paid call."""


@dataclass(frozen=True)
class Form:
    """What a request holds."""

    texts: list[tuple[str, str]]
    pictures: list[FileStorage]

    @property
    def values(self) -> dict[str, str]:
        return dict(self.texts)

    @property
    def tier(self) -> str:
        # Without one, the old generation answers.
        return self.values.get("tier", "Regular")

    @property
    def proportions(self) -> tuple[int, ...] | None:
        """Those of the box that the model is to have, along glTF's axes."""
        return tuple(json.loads(self.values["bbox_condition"])) if "bbox_condition" in self.values else None

    @property
    def price(self) -> float:
        extreme = 0.5 if self.tier == "Gen-2.5-Extreme-High" else 0.0
        texture = 2.0 if self.values.get("texture_mode") == "extreme-high" else 0.0
        return 0.5 + extreme + texture + (1.0 if "HighPack" in self.values.get("addons", "") else 0.0)


def read_form(request: Request) -> Form:
    """The form of a request whose body arrived whole. Raises Outage, and ClientDisconnected for a part of it."""
    if request.mimetype != "multipart/form-data":
        raise Outage("no multipart")
    if request.content_length is None:
        raise Outage("no length")
    try:
        _stream, texts, files = parse_form_data(request.environ, silent=False)
    except ValueError as error:
        raise Outage(str(error)) from None
    for name in LISTS:
        if any(not isinstance(_json_or_none(text), list) for text in texts.getlist(name)):
            raise Outage(f"{name} is no list")
    return Form([*texts.items(multi=True)], _pictures(files))


def _pictures(files: MultiDict[str, FileStorage]) -> list[FileStorage]:
    if set(files) - {"images"}:
        raise Outage("a file in a text's place")
    return files.getlist("images")


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def described(picture: FileStorage) -> dict[str, Any]:
    content = picture.stream.read()
    picture.stream.seek(0)
    return {
        "name": picture.filename,
        "kind": picture.mimetype,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def trouble(form: Form) -> str:
    """Why the service does not take a form, "" where it does."""
    values, tier = form.values, form.tier
    if len(values) != len(form.texts):
        return "A field is given twice."
    known = {"tier", "prompt", "seed", "quality_override", *CHOICES, *LISTS}
    for name, text in form.texts:
        if name not in known:
            return f"The field {name} is not known."
        if name in CHOICES and text not in CHOICES[name]:
            return f"The field {name} cannot be {text}."
    if tier not in TIERS:
        return f"There is no tier {tier}."
    if "prompt" in values and not 1 <= len(values["prompt"]) <= 1024:
        return "The prompt must have 1 to 1024 characters."
    if "prompt" not in values and not form.pictures:
        return "A prompt or an image is required."
    if not _within(values.get("seed", "0"), 0, 65_535):
        return "The seed must be between 0 and 65535."
    if "bbox_condition" in values and not _is_box(json.loads(values["bbox_condition"])):
        return "The bbox_condition must be three whole numbers between 1 and 2048."
    if "image_label" in values:
        labels = json.loads(values["image_label"])
        if len(labels) != len(form.pictures) or not LABELS.issuperset(labels):
            return "The image_label must have one of the known labels for each image."
    return _trouble_with_tier(values, tier) or _trouble_with_pictures(form.pictures)


def _trouble_with_tier(values: dict[str, str], tier: str) -> str:
    quad = values.get("mesh_mode") == "Quad"
    if tier not in GEN_2_5:
        for name in ONLY_GEN_2_5:
            if name in values:
                return f"The tier {tier} does not take {name}."
        if values.get("material") == "Hybrid":
            return f"The tier {tier} does not take the material Hybrid."
    if tier in GEN_1 and "hd_texture" in values:
        return f"The tier {tier} does not take hd_texture."
    if tier in GEN_1 and not quad and (values.keys() & {"addons", "quality_override"}):
        return f"The tier {tier} takes no addons and no quality_override with Raw."
    if tier == "Sketch" and (values.get("geometry_file_format", "glb") != "glb" or "quality_override" in values):
        return "Sketch makes glb files of a fixed number of faces."
    if values.get("geometry_instruct_mode") == "creative" and tier not in WITH_CREATIVE:
        return f"The tier {tier} is not creative."
    least, most = 20_000 if tier in GEN_2_5 else 2_000, 1_000_000
    if tier in ("Gen-2.5-High", "Gen-2.5-Extreme-High"):
        most = 2_000_000
    if quad:
        least, most = 2_000, 50_000
    if "quality_override" in values and not _within(values["quality_override"], least, most):
        return f"The quality_override must be between {least} and {most}."
    return ""


def _trouble_with_pictures(pictures: list[FileStorage]) -> str:
    if len(pictures) > 5:
        return "There can be 5 images at most."
    for picture in pictures:
        beginning = picture.stream.read(16)
        picture.stream.seek(0, 2)
        size = picture.stream.tell()
        picture.stream.seek(0)
        expected = BEGINNINGS.get(picture.mimetype)
        if not picture.filename or expected is None or not beginning.startswith(expected):
            return "An image is no jpg, png or webp file."
        if size > LARGEST_PICTURE:
            return "An image is too large."
    return ""


def _is_box(found: list[Any]) -> bool:
    return len(found) == 3 and all(type(length) is int and 1 <= length <= 2048 for length in found)


def _within(text: str, least: int, most: int) -> bool:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else math.nan
    return least <= number <= most
