# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures are told from others by their headers, and what the service does not take is refused with what to change."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rodin_blender.service.errors import BadInput
from rodin_blender.service.pictures import HEAD, LARGEST_PICTURE, check_picture
from tests.unit.pictures import jpeg, png, webp

ROOT = Path(__file__).parents[2]
WHOLE = [png(512, 512), jpeg(before=300), webp(), webp(kind=b"VP8 "), webp(kind=b"VP8L")]
MUTATED = st.builds(
    lambda base, at, put, cut: (base[:at] + put + base[at + len(put) :])[:cut],
    st.sampled_from([picture[:200] for picture in WHOLE]),
    st.integers(0, 60),
    st.binary(max_size=8),
    st.integers(0, 200),
)


def refused(content: bytes, size: int | None = None, name: str = "vase.png") -> str:
    with pytest.raises(BadInput) as caught:
        check_picture(name, content[:HEAD], len(content) if size is None else size)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (png(), "image/png"),
        (png(512, 4096), "image/png"),
        (jpeg(), "image/jpeg"),
        (jpeg(frame=0xC2), "image/jpeg"),
        (jpeg(before=60_000), "image/jpeg"),
        (webp(), "image/webp"),
        (webp(kind=b"VP8 "), "image/webp"),
        (webp(kind=b"VP8L"), "image/webp"),
        (webp(4096, 512, b"VP8L"), "image/webp"),
    ],
)
def test_the_kind_is_told_by_the_content(content: bytes, kind: str) -> None:
    assert check_picture("whatever.txt", content[:HEAD], len(content)) == kind
    assert check_picture("whatever.txt", io.BytesIO(content), len(content)) == kind


@pytest.mark.parametrize("name", ["demo.jpg", "imported.png"])
def test_pictures_of_real_encoders(name: str) -> None:
    path = ROOT / "docs" / name
    with path.open("rb") as file:
        assert check_picture(name, file, path.stat().st_size) == f"image/{'jpeg' if name.endswith('jpg') else 'png'}"


def test_a_photograph_with_much_before_the_picture_is_read_from_the_file() -> None:
    content = jpeg(before=3_000_000)
    assert check_picture("photo.jpg", io.BytesIO(content), len(content)) == "image/jpeg"
    assert "damaged or cut short" in refused(content)


class Counting(io.BytesIO):
    count = 0

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        self.count += len(piece)
        return piece


def test_little_is_read_of_a_large_picture() -> None:
    file = Counting(jpeg(before=5_000_000))
    check_picture("photo.jpg", file, 6_000_000)
    assert file.count < 2_000


@pytest.mark.parametrize(
    ("content", "size", "words"),
    [
        (b"", None, ["'vase.png' is empty"]),
        (b"What do you want to make?", None, ["is no picture that is known here", "PNG, JPEG or WebP"]),
        (b"GIF89a" + bytes(40), None, ["GIF"]),
        (b"BLENDER-v402", None, ["Blender"]),
        (bytes(4) + b"ftypheic" + bytes(20), None, ["HEIC"]),
        (bytes(4) + b"ftypmp42" + bytes(20), None, ["a film"]),
        (png(), 60_000_000, ["60.0 MB", "16 MB at most", "smaller"]),
        (png(), LARGEST_PICTURE + 1, ["16 MB at most"]),
        (png(100, 100), None, ["too small", "100 x 100 pixels", "512 to 4096"]),
        (png(2000, 511), None, ["too small", "2000 x 511"]),
        (jpeg(8000, 6000), None, ["too large", "8000 x 6000", "Scale it"]),
        (webp(4097, 4000), None, ["too large"]),
        (png()[:20], None, ["damaged or cut short"]),
        (jpeg()[:30], None, ["damaged or cut short"]),
        (jpeg(height=0), None, ["damaged or cut short"]),
        (webp()[:-4], None, ["damaged or cut short"]),
        (webp(kind=b"EXIF"), None, ["damaged or cut short"]),
    ],
    ids=lambda value: f"{value[:4]!r}-{len(value)}" if isinstance(value, bytes) else None,
)
def test_what_is_not_taken_is_refused_with_what_to_change(content: bytes, size: int | None, words: list[str]) -> None:
    told = refused(content, size)
    assert all(word in told for word in words), told


def test_a_name_is_shown_fit_for_one_line() -> None:
    assert "\n" not in refused(b"x", name="a\nb" * 100)
    assert len(refused(b"x", name="x" * 5000)) < 200


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.binary(max_size=200), MUTATED), st.integers(-1, 20_000_000))
def test_whatever_the_bytes_are_it_is_a_picture_or_refused(content: bytes, size: int) -> None:
    for given_ in (content, io.BytesIO(content)):
        try:
            kind = check_picture("vase.png", given_, size)
        except BadInput as error:
            assert str(error).isprintable()
        else:
            assert kind in ("image/png", "image/jpeg", "image/webp")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 16_383), st.integers(1, 16_383), st.integers(0, 60_000))
def test_any_size_is_measured_alike_in_all_kinds(width: int, height: int, before: int) -> None:
    fits = min(width, height) >= 512 and max(width, height) <= 4096
    for content in (
        jpeg(width, height, before),
        *(webp(width, height, kind) for kind in (b"VP8X", b"VP8 ", b"VP8L")),
    ):
        if fits:
            check_picture("vase", content[:HEAD], len(content))
        else:
            assert f"{width} x {height} pixels" in refused(content)


def test_a_jpeg_of_endless_segments_ends() -> None:
    content = b"\xff\xd8" + b"\xff\xe1\x00\x02" * 2_000_000
    with pytest.raises(BadInput, match="damaged"):
        check_picture("bomb.jpg", io.BytesIO(content), len(content))
