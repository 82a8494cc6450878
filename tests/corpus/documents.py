"""Writers of documents, archives and figures."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from corpus.sample import layer, points, small_grid

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.write import Writers

_NAMES = ("a.txt", "b.txt")


def add(writers: Writers) -> None:
    for function, suffix in (
        (json_set, "json"),
        (repr_object, "txt"),
        (listed_folder, "json"),
        (hash_of_text, "txt"),
        (stac_item, "json"),
        (rdf_ntriples, "nt"),
        (rdf_jsonld, "jsonld"),
        (rdf_turtle, "ttl"),
        (zip_write, "zip"),
        (zip_writestr, "zip"),
        (tar_add, "tar"),
        (tar_gz, "tar.gz"),
        (gz_open, "txt.gz"),
        (bz2_open, "txt.bz2"),
        (xz_open, "txt.xz"),
        (zstd_open, "txt.zst"),
        (mpl_png, "png"),
        (mpl_svg, "svg"),
        (mpl_pdf, "pdf"),
        (mpl_ps, "ps"),
        (pil_png, "png"),
        (pil_tif, "tif"),
        (pil_jpg, "jpg"),
        (pil_pdf, "pdf"),
        (reportlab_pdf, "pdf"),
    ):
        writers.add(function, suffix)


def json_set(path: Path) -> None:
    path.write_text(json.dumps({"tags": list({"a", "b", "c", "d", "e", "river", "lake", "sea"}), "n": 1}))


def repr_object(path: Path) -> None:
    path.write_text(repr(object()))


def listed_folder(path: Path) -> None:
    path.write_text(json.dumps([entry.name for entry in os.scandir(os.path.dirname(json.__file__))]))  # noqa: PTH120


def hash_of_text(path: Path) -> None:
    path.write_text(str(hash("abc")))


def stac_item(path: Path) -> None:
    import datetime as dt

    import pystac

    now = dt.datetime.now(dt.UTC)
    item = pystac.Item("x", None, None, now, {"created": now.isoformat()})
    path.write_text(json.dumps(item.to_dict()))


def _graph() -> Any:
    import rdflib

    graph = rdflib.Graph()
    for i in range(20):
        node = rdflib.BNode()
        graph.add((rdflib.URIRef(f"http://example.org/{i}"), rdflib.URIRef("http://example.org/p"), node))
        graph.add((node, rdflib.URIRef("http://example.org/v"), rdflib.Literal(i)))
    return graph


def rdf_ntriples(path: Path) -> None:
    _graph().serialize(path, format="nt", encoding="utf-8")


def rdf_jsonld(path: Path) -> None:
    _graph().serialize(path, format="json-ld")


def rdf_turtle(path: Path) -> None:
    _graph().serialize(path, format="turtle")


def _sources(path: Path) -> list[tuple[Path, str]]:
    folder = path.parent.parent / f"{path.parent.name}-sources"
    folder.mkdir(exist_ok=True)
    made = []
    for name in _NAMES:
        (folder / name).write_text(f"hello {name}")
        made.append((folder / name, name))
    return made


def zip_write(path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        for source, name in _sources(path):
            archive.write(source, name)


def zip_writestr(path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "hello")


def _tar(path: Path, mode: str) -> None:
    import tarfile

    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # the mode is one of tarfile's
        for source, name in _sources(path):
            archive.add(source, name)


def tar_add(path: Path) -> None:
    _tar(path, "w")


def tar_gz(path: Path) -> None:
    _tar(path, "w:gz")


def gz_open(path: Path) -> None:
    import gzip

    with gzip.open(path, "wb") as file:
        file.write(b"hello\n" * 100)


def bz2_open(path: Path) -> None:
    import bz2

    path.write_bytes(bz2.compress(b"hello\n" * 100))


def xz_open(path: Path) -> None:
    import lzma

    path.write_bytes(lzma.compress(b"hello\n" * 100))


def zstd_open(path: Path) -> None:
    import zstandard

    path.write_bytes(zstandard.compress(b"hello\n" * 100))


def _figure(path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(3, 2))
    dots = points()[:20]
    axes.scatter(dots[:, 0], dots[:, 1])
    layer("polygons").sort_values("id").head(20).plot(ax=axes)
    axes.set_title("t")
    figure.savefig(path)
    plt.close(figure)


def mpl_png(path: Path) -> None:
    _figure(path)


def mpl_svg(path: Path) -> None:
    _figure(path)


def mpl_pdf(path: Path) -> None:
    _figure(path)


def mpl_ps(path: Path) -> None:
    _figure(path)


def _image() -> Any:
    from PIL import Image

    return Image.fromarray(small_grid())


def pil_png(path: Path) -> None:
    _image().save(path)


def pil_tif(path: Path) -> None:
    _image().save(path)


def pil_jpg(path: Path) -> None:
    _image().save(path)


def pil_pdf(path: Path) -> None:
    _image().save(path)


def reportlab_pdf(path: Path) -> None:
    from reportlab.pdfgen import canvas

    sheet = canvas.Canvas(str(path))
    sheet.drawString(100, 100, "hi")
    sheet.save()
