"""Two pictures as GDAL shows them: size, bands, georeference, nodata, palette, tags, overviews, pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.arrays.blocks import ArrayDiff
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.noise.floats import distance
from kfm_repro.compare.raster.items import HIDDEN_DOMAINS
from kfm_repro.compare.samples import scalar
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfm_repro.compare.context import Context

__all__ = ["at", "compare_pictures"]

_WINDOW_BYTES = 32 << 20
_DRAWN = 8
"""Bands of which a report draws where they differ; a picture may have thousands."""
_DERIVED = ("STATISTICS_",)
_LARGER = "an overview that is larger than what it shows"
_DATASET_MASK = 2
_SAME_POSITION = 1e-10
"""Of a pixel: what a rewriting of the same georeference may lose."""


def compare_pictures(a: Any, b: Any, context: Context, where: dict[str, str | int]) -> list[Finding]:  # noqa: ANN401  # rasterio is untyped
    """Compare two opened rasters. Raises LimitExceeded, and what rasterio raises where blocks are damaged."""
    found = [*_grid(a, b), *_georeference(a, b), *_bands(a, b), *_tags(a, b, context)]
    if (a.width, a.height) == (b.width, b.height):
        found.extend(_pixels(a, b, context))
        found.extend(_overviews(a, b))
    return [at(finding, where) for finding in found]


def at(finding: Finding, where: dict[str, str | int]) -> Finding:
    """Return a finding of one page, with where that page is."""
    import msgspec

    return msgspec.structs.replace(finding, where={**where, **finding.where}) if where else finding


def _one(kind: Kind, what: str, a: object, b: object, rung: Rung = Rung.VALUE, **where: str | int) -> Finding:
    example = Example(key={"field": what}, a=scalar(a), b=scalar(b))
    return Finding(kind=kind, rung=rung, where=dict(where), examples=(example,), evidence=what)


def _grid(a: Any, b: Any) -> Iterator[Finding]:  # noqa: ANN401  # as above
    if (a.width, a.height) != (b.width, b.height):
        yield _one(Kind.SCHEMA, "width and height in pixels", [a.width, a.height], [b.width, b.height])
    if a.count != b.count:
        yield _one(Kind.BANDS, "number of bands", a.count, b.count)


def _georeference(a: Any, b: Any) -> Iterator[Finding]:  # noqa: ANN401  # as above
    if a.crs != b.crs:
        shown = [crs.to_string() if crs else None for crs in (a.crs, b.crs)]
        yield _one(Kind.CRS, "coordinate reference system", shown[0], shown[1])
    left, right = tuple(a.transform)[:6], tuple(b.transform)[:6]
    if left != right:
        finite = all(map(math.isfinite, (*left, *right)))
        pixel = max(abs(left[0]), abs(left[4]), abs(left[1]), abs(left[3]))
        worst = max(abs(x - y) for x, y in zip(left, right, strict=True))
        noise = all(distance(x, y).noise for x, y in zip(left, right, strict=True))
        rung = Rung.NOISE if noise or (finite and worst <= _SAME_POSITION * pixel) else Rung.VALUE
        yield _one(Kind.GEOTRANSFORM, "geotransform", list(left), list(right), rung)
    for what, of in (("ground control points", _gcps), ("rational polynomials", _rpcs)):
        values = of(a), of(b)
        if values[0] != values[1]:
            yield _one(Kind.GEOTRANSFORM, what, *values)


def _gcps(file: Any) -> object:  # noqa: ANN401  # as above
    points, crs = file.gcps
    return [[p.row, p.col, p.x, p.y, p.z, p.id, p.info] for p in points], crs.to_string() if crs else None


def _rpcs(file: Any) -> object:  # noqa: ANN401  # as above
    return file.rpcs.to_dict() if file.rpcs else None


def _bands(a: Any, b: Any) -> Iterator[Finding]:  # noqa: ANN401  # as above
    for band in range(1, min(a.count, b.count) + 1):
        i = band - 1
        if a.dtypes[i] != b.dtypes[i]:
            yield _one(Kind.TYPE, "type of the pixels", a.dtypes[i], b.dtypes[i], band=band)
        if not _same_number(a.nodatavals[i], b.nodatavals[i]):
            yield _one(Kind.NODATA, "nodata value", a.nodatavals[i], b.nodatavals[i], band=band)
        for what in ("descriptions", "units", "scales", "offsets"):
            values = getattr(a, what)[i], getattr(b, what)[i]
            if not _same_number(*values):
                yield _one(Kind.ATTRIBUTES, what.removesuffix("s"), *values, band=band)
        if a.colorinterp[i] != b.colorinterp[i]:
            yield _one(
                Kind.BANDS, "meaning of the band", a.colorinterp[i].name, b.colorinterp[i].name, band=band
            )
        palettes = _palette(a, band), _palette(b, band)
        if palettes[0] != palettes[1]:
            palettes = _unequal(*palettes)
            yield _one(Kind.BANDS, "palette", *palettes, band=band)
        flags = [sorted(flag.name for flag in file.mask_flag_enums[i]) for file in (a, b)]
        if flags[0] != flags[1] and _same_number(a.nodatavals[i], b.nodatavals[i]):
            yield _one(Kind.NODATA, "mask", flags[0], flags[1], band=band)


def _same_number(a: object, b: object) -> bool:
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    return a == b


def _unequal(
    a: dict[str, list[int]], b: dict[str, list[int]]
) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Return the entries of two palettes that differ."""
    keys = [key for key in {**a, **b} if a.get(key) != b.get(key)]
    return tuple({key: side[key] for key in keys if key in side} for side in (a, b))  # type: ignore[return-value]  # two


def _palette(file: Any, band: int) -> dict[str, list[int]]:  # noqa: ANN401  # as above
    try:
        return {str(key): list(value) for key, value in file.colormap(band).items()}
    except ValueError:
        return {}


def _tags(a: Any, b: Any, context: Context) -> Iterator[Finding]:  # noqa: ANN401  # as above
    """Compare the metadata of the file and of each band, in every domain but those that say how it is stored."""
    for band in range(min(a.count, b.count) + 1):
        domains = {"", *_namespaces(a, band), *_namespaces(b, band)}
        for domain in sorted(domains):
            left, right = (file.tags(band, ns=domain or None) for file in (a, b))
            for key in sorted({*left, *right}):
                # The fields of TIFF are compared as such.
                if left.get(key) != right.get(key) and not key.startswith("TIFFTAG_"):
                    yield _tag(
                        key, left.get(key), right.get(key), context, {"band": band} if band else {}, domain
                    )


def _namespaces(file: Any, band: int) -> list[str]:  # noqa: ANN401  # as above
    return [name for name in file.tag_namespaces(band) if name not in HIDDEN_DOMAINS]


def _tag(
    key: str, a: str | None, b: str | None, context: Context, where: dict[str, str | int], domain: str
) -> Finding:
    kind, evidence = Kind.ATTRIBUTES, f"tag {key}"
    rung = Rung.CONTAINER if key.startswith(_DERIVED) else Rung.VALUE
    if a is not None and b is not None:
        part = classify_pairs([(a, b)], context)[0]
        if Kind(part.kind) in (Kind.TIMESTAMP, Kind.IDENTIFIER, Kind.PATH, Kind.HOST):
            kind, rung, evidence = Kind(part.kind), Rung(part.rung), f"tag {key}: {part.evidence}"
    place = {**where, "pointer": "/".join(("", domain, key) if domain else ("", key))}
    example = Example(key={"field": key}, a=scalar(a), b=scalar(b))
    return Finding(kind=kind, rung=rung, where=place, examples=(example,), evidence=evidence)


def _pixels(a: Any, b: Any, context: Context) -> Iterator[Finding]:  # noqa: ANN401  # as above
    import numpy as np

    tolerance, drawn = context.options.tolerance, 0
    for band in range(1, min(a.count, b.count) + 1):
        if a.dtypes[band - 1] != b.dtypes[band - 1]:
            continue
        itemsize = np.dtype(a.dtypes[band - 1].replace("complex_int16", "complex64")).itemsize
        if a.width * a.height * itemsize > context.limits.raster_bytes:
            raise LimitExceeded(f"a band of more than {context.limits.raster_bytes} bytes")
        where: dict[str, str | int] = {"band": band}
        diff = ArrayDiff(
            Kind.PIXELS,
            where,
            context,
            tolerance.get(f"band {band}", tolerance.get("*")),
            axes=("rows", "columns"),
            picture=(a.height, a.width) if drawn < _DRAWN else None,
        )
        masked = any(flag.value & _DATASET_MASK for flag in a.mask_flag_enums[band - 1]) and (
            a.mask_flag_enums[band - 1] == b.mask_flag_enums[band - 1]
        )
        masks = ArrayDiff(Kind.NODATA, where, context, axes=("rows", "columns"))
        for window in _windows(a, b, itemsize):
            origin = (window.row_off, window.col_off)
            diff.add(a.read(band, window=window), b.read(band, window=window), origin)
            if masked:
                masks.add(a.read_masks(band, window=window), b.read_masks(band, window=window), origin)
        found = diff.findings()
        drawn += bool(found)
        yield from found
        yield from masks.findings()


def _windows(a: Any, b: Any, itemsize: int) -> Iterator[Any]:  # noqa: ANN401  # as above
    """Yield windows of whole rows of blocks; very wide pictures are cut in their width too."""
    from rasterio.windows import Window

    rows = math.lcm(a.block_shapes[0][0], b.block_shapes[0][0])
    rows = rows if rows <= a.height else max(a.block_shapes[0][0], b.block_shapes[0][0])
    wide = max(1, min(a.width, _WINDOW_BYTES // max(1, itemsize * min(rows, a.height))))
    many = max(1, _WINDOW_BYTES // max(1, wide * itemsize * rows)) if wide == a.width else 1
    step = max(1, min(rows * many, a.height))
    for row in range(0, a.height, step):
        for column in range(0, a.width, wide):
            yield Window(column, row, min(wide, a.width - column), min(step, a.height - row))


def _overviews(a: Any, b: Any) -> Iterator[Finding]:  # noqa: ANN401  # as above
    """Compare which overviews there are; what they show is compared with what a reader of each would see."""
    for band in range(1, min(a.count, b.count) + 1):
        levels = a.overviews(band), b.overviews(band)
        if levels[0] != levels[1]:
            yield _one(Kind.OVERVIEWS, "factors of the overviews", *levels, Rung.CONTAINER, band=band)
        if a.dtypes[band - 1] != b.dtypes[band - 1]:
            continue
        for factor in (factor for factor in levels[0] if factor in levels[1]):
            if not factor:
                raise LimitExceeded(_LARGER)
            shape = (math.ceil(a.height / factor), math.ceil(a.width / factor))
            places = levels[0].index(factor), levels[1].index(factor)
            count = _overview_difference(a, b, band, places, shape)
            if count:
                finding = _one(Kind.OVERVIEWS, f"pixels of the overview {factor}", count, 0, band=band)
                import msgspec

                yield msgspec.structs.replace(
                    finding, count=count, of=shape[0] * shape[1], examples=finding.examples[:0][:MAX_EXAMPLES]
                )


def _overview_difference(
    a: Any,  # noqa: ANN401  # as above
    b: Any,  # noqa: ANN401  # as above
    band: int,
    places: tuple[int, int],
    shape: tuple[int, int],
) -> int:
    """Return how many pixels differ in the overviews at these places among those of A and of B."""
    import numpy as np
    import rasterio

    files = []
    try:
        for file, place in zip((a, b), places, strict=True):
            files.append(
                rasterio.open(file.name, overview_level=place, driver="GTiff", sharing=False)
            )  # closed below
        left, right = files
        if left.shape != right.shape:
            return shape[0] * shape[1]
        if left.width * left.height > a.width * a.height:
            raise LimitExceeded(_LARGER)
        count = 0
        for window in _windows(left, right, np.dtype(a.dtypes[band - 1]).itemsize):
            x, y = (file.read(band, window=window) for file in files)
            unlike = (x != y) & ~((x != x) & (y != y))  # noqa: PLR0124  # NaN is not itself
            masks = (file.read_masks(band, window=window) for file in files)
            count += int(np.count_nonzero(unlike | np.not_equal(*masks)))
        return count
    finally:
        for file in files:
            file.close()
