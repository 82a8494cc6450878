"""The writers of the corpus with the options that our advice names: their bytes must not follow the clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from corpus.documents import _image, _sources
from corpus.sample import grid, layer, points, table

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.write import Writers

EPOCH = (1980, 1, 1, 0, 0, 0)


def add(writers: Writers) -> None:
    for function, suffix in (
        (steady_gpkg, "gpkg"),
        (steady_csvgz, "csv.gz"),
        (steady_xlsx, "xlsx"),
        (steady_zip, "zip"),
        (steady_tar, "tar"),
        (steady_mpl_pdf, "pdf"),
        (steady_reportlab, "pdf"),
        (steady_pil_pdf, "pdf"),
        (steady_svg, "svg"),
        (steady_turtle, "ttl"),
        (steady_hdf5, "h5"),
        (steady_shp, "shp"),
        (steady_dask, "nc"),
        (steady_zarr_order, "txt"),
        (steady_vacuumed, "sqlite"),
    ):
        writers.add(function, suffix)


def steady_gpkg(path: Path) -> None:
    import pyogrio

    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2000-01-01T00:00:00.000Z"})
    layer("polygons").to_file(path, driver="GPKG", engine="pyogrio")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def steady_csvgz(path: Path) -> None:
    table().to_csv(path, index=False, compression={"method": "gzip", "mtime": 0})


def steady_xlsx(path: Path) -> None:
    import datetime as dt

    import pandas as pd

    with pd.ExcelWriter(path, engine="xlsxwriter") as writer:
        writer.book.set_properties({"created": dt.datetime(2000, 1, 1)})  # noqa: DTZ001  # as XlsxWriter wants it
        table().to_excel(writer)


def steady_zip(path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        for source, name in sorted(_sources(path), key=lambda pair: pair[1]):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), source.read_bytes())


def steady_tar(path: Path) -> None:
    import tarfile

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime = entry.uid = entry.gid = 0
        return entry

    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for source, name in sorted(_sources(path), key=lambda pair: pair[1]):
            archive.add(source, name, filter=plain)


def _plot(path: Path, **metadata: None) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with mpl.rc_context({"svg.hashsalt": "any fixed text"}):
        figure, axes = plt.subplots(figsize=(3, 2))
        axes.scatter(points()[:20, 0], points()[:20, 1])
        figure.savefig(path, metadata=metadata)
        plt.close(figure)


def steady_mpl_pdf(path: Path) -> None:
    _plot(path, CreationDate=None)


def steady_svg(path: Path) -> None:
    _plot(path, Date=None)


def steady_reportlab(path: Path) -> None:
    from reportlab.pdfgen import canvas

    sheet = canvas.Canvas(str(path), invariant=1)
    sheet.drawString(100, 100, "hi")
    sheet.save()


def steady_pil_pdf(path: Path) -> None:
    _image().save(path, creationDate=time.gmtime(0), modDate=time.gmtime(0))


def steady_turtle(path: Path) -> None:
    from corpus.documents import _graph

    _graph().serialize(path, format="turtle")


def steady_hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=grid()[:50], track_times=False)


def steady_shp(path: Path) -> None:
    import pyogrio

    pyogrio.write_dataframe(layer("points").drop(columns=["when"]), path, DBF_DATE_LAST_UPDATE="2000-01-01")


def steady_dask(path: Path) -> None:
    from corpus.sample import cube

    cube().chunk({"y": 10, "x": 20}).load().to_netcdf(path, engine="netcdf4")


def steady_zarr_order(path: Path) -> None:
    """Write the order of the entries: their dates are those of the zip."""
    import zipfile

    import zarr

    from corpus.rasters import _zipped

    store = path.with_name("store.zip")
    with zarr.config.set({"async.concurrency": 1}):
        _zipped(store, 3)
    with zipfile.ZipFile(store) as archive:
        path.write_text("\n".join(archive.namelist()))
    store.unlink()


def steady_vacuumed(path: Path) -> None:
    """Write in as many transactions as the second of the clock says, then copy."""
    import sqlite3
    from contextlib import closing

    raw = path.with_name("raw.sqlite")
    with closing(sqlite3.connect(raw)) as connection:
        connection.execute("CREATE TABLE t (a)")
        for i in range(50):
            connection.execute("INSERT INTO t VALUES (?)", (i,))
            if i % (2 + int(time.time()) % 3) == 0:
                connection.commit()
        connection.commit()
        connection.execute(f"VACUUM INTO '{path}'")
    raw.unlink()
