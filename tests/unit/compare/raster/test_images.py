from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared import Write, brief, compared, written
from PIL import Image, PngImagePlugin

from kfm_repro.model.finding import OutputVerdict

PICTURE = np.random.default_rng(1).integers(0, 255, (40, 50, 3)).astype("u1")


SCENES = "8f14e45f-ceea-467f-a0c5-bd6d8f3c1a11", "6c8349cc-7260-4e62-a3b1-396831a8398a"


def png(values: Any = PICTURE, level: int = 6, **texts: str) -> Write:
    said = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        said.add_text(key.replace("_", " "), text)
    return lambda path: Image.fromarray(values).save(path, compress_level=level, pnginfo=said)


def jpg(values: Any = PICTURE, **options: Any) -> Write:
    return lambda path: Image.fromarray(values).save(path, **options)


def with_pixel() -> Any:
    values = PICTURE.copy()
    values[3, 4, 1] ^= 1
    return values


@pytest.mark.parametrize(
    ("a", "b", "name", "expected"),
    [
        (png(Software="x"), png(Software="y"), "x.png", {"library-version:container@/Software"}),
        (png(Creation_Time="1"), png(Creation_Time="2"), "x.png", {"timestamp:container@/Creation Time"}),
        (png(Title="x"), png(Title="y"), "x.png", {"attributes:value@/Title"}),
        (png(tIME="x"), png(tIME="y"), "x.png", {"attributes:value@/text tIME"}),
        (png(Source=SCENES[0]), png(Source=SCENES[1]), "x.png", {"identifier:value@/Source"}),
        (png(), png(level=1), "x.png", {"layout:container"}),
        (png(), png(with_pixel()), "x.png", {"pixels:value@2"}),
        (jpg(), jpg(optimize=True), "x.jpg", {"layout:container"}),
        (jpg(), jpg(progressive=True), "x.jpg", {"layout:container"}),
        (jpg(comment="x"), jpg(comment="y"), "x.jpg", {"attributes:value@/comment"}),
    ],
)
def test_metadata_packing_and_pixels_are_told_apart(
    tmp_path: Path, a: Write, b: Write, name: str, expected: set[str]
) -> None:
    assert brief(compared(tmp_path, a, b, name)) == expected


def test_another_size_is_said(tmp_path: Path) -> None:
    assert "schema:value" in brief(compared(tmp_path, png(), png(PICTURE[:30]), "x.png"))


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(("name", "write"), [("x.png", png()), ("x.jpg", jpg())])
def test_cut_or_damaged_pictures_are_never_equal(
    tmp_path: Path, name: str, write: Write, *, swapped: bool
) -> None:
    whole = written(tmp_path, "w", name, write).read_bytes()
    for broken in (whole[:500], b"", whole[:60] + b"\0\0\0\0" + whole[64:], whole + b"more"):
        sides = (broken, whole) if swapped else (whole, broken)
        assert compared(tmp_path, *sides, name).verdict in (OutputVerdict.DIFFERENT, OutputVerdict.UNKNOWN)


def test_a_second_picture_behind_the_first_is_not_passed_over(tmp_path: Path) -> None:
    """Readers of one picture see the same; a file of several pictures has another one."""
    first, second, other = (
        written(tmp_path, side, "x.jpg", write).read_bytes()
        for side, write in (
            ("p", jpg(restart_marker_rows=1)),
            ("q", jpg(PICTURE[::-1])),
            ("r", jpg(with_pixel(), quality=5)),
        )
    )
    result = compared(tmp_path, first + second, first + other, "x.jpg")
    assert brief(result) == {"attributes:value@/bytes after the end"}
