"""Writers of rasters, arrays and tiles: GDAL through rasterio, xarray, h5py, zarr, numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corpus.sample import cube, grid, points, threads

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.write import Writers


def add(writers: Writers) -> None:
    for function, suffix in (
        (rio_gtiff, "tif"),
        (rio_gtiff_deflate, "tif"),
        (rio_gtiff_zstd, "tif"),
        (rio_cog, "tif"),
        (rio_overviews, "tif"),
        (rio_statistics, "tif"),
        (rio_block_order, "tif"),
        (rio_png, "png"),
        (rio_jpg, "jpg"),
        (rio_jp2, "jp2"),
        (rio_gpkg, "gpkg"),
        (rio_netcdf, "nc"),
        (rio_copy, "tif"),
        (np_save, "npy"),
        (np_savez, "npz"),
        (xr_netcdf4, "nc"),
        (xr_h5netcdf, "nc"),
        (xr_scipy, "nc"),
        (xr_history, "nc"),
        (xr_dask, "nc"),
        (xr_zarr2, "zarr"),
        (xr_zarr3, "zarr"),
        (zarr2_zip, "zarr.zip"),
        (zarr3_zip, "zarr.zip"),
        (h5py_default, "h5"),
        (h5py_track_times, "h5"),
        (h5py_latest, "h5"),
        (py_mbtiles, "mbtiles"),
        (py_pmtiles, "pmtiles"),
    ):
        writers.add(function, suffix)


def _raster(path: Path, driver: str, dtype: str = "float32", **options: Any) -> None:
    import rasterio
    from rasterio.transform import from_origin

    with rasterio.open(
        path,
        "w",
        driver=driver,
        height=600,
        width=700,
        count=1,
        dtype=dtype,
        crs=4326,
        transform=from_origin(0, 50, 0.01, 0.01),
        **options,
    ) as file:
        file.write(grid().astype(dtype), 1)


def rio_gtiff(path: Path) -> None:
    _raster(path, "GTiff")


def rio_gtiff_deflate(path: Path) -> None:
    _raster(path, "GTiff", tiled=True, compress="deflate", num_threads=threads())


def rio_gtiff_zstd(path: Path) -> None:
    _raster(path, "GTiff", tiled=True, compress="zstd", num_threads=threads())


def rio_cog(path: Path) -> None:
    _raster(path, "COG", num_threads=threads())


def rio_overviews(path: Path) -> None:
    import rasterio
    from rasterio.enums import Resampling

    _raster(path, "GTiff", tiled=True, compress="deflate", blockxsize=128, blockysize=128)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], Resampling.average)


def rio_statistics(path: Path) -> None:
    import rasterio

    _raster(path, "GTiff")
    with rasterio.open(path, "r+") as file:
        file.update_tags(1, STATISTICS_MINIMUM="0", X="1")


def rio_block_order(path: Path) -> None:
    """Write the blocks in another order where the rows are shuffled."""
    import rasterio
    from rasterio.transform import from_origin

    from corpus.sample import shuffled

    with rasterio.open(
        path, "w", driver="GTiff", height=600, width=700, count=1, dtype="float32", crs=4326,
        transform=from_origin(0, 50, 0.01, 0.01), tiled=True, compress="deflate", blockxsize=128, blockysize=128,
    ) as file:  # fmt: skip
        windows = [window for _, window in file.block_windows(1)]
        for window in reversed(windows) if shuffled() else windows:
            rows, columns = window.toslices()
            file.write(grid()[rows, columns], 1, window=window)


def rio_png(path: Path) -> None:
    _raster(path, "PNG", "uint8")


def rio_jpg(path: Path) -> None:
    _raster(path, "JPEG", "uint8")


def rio_jp2(path: Path) -> None:
    _raster(path, "JP2OpenJPEG", "uint8")


def rio_gpkg(path: Path) -> None:
    _raster(path, "GPKG", "uint8")


def _copied(path: Path, **options: Any) -> None:
    import rasterio.shutil

    source = path.with_name("source.tif")
    _raster(source, "GTiff")
    rasterio.shutil.copy(source, path, **options)
    source.unlink()


def rio_netcdf(path: Path) -> None:
    _copied(path, driver="netCDF")


def rio_copy(path: Path) -> None:
    _copied(path, driver="COG", compress="deflate", num_threads=threads())


def np_save(path: Path) -> None:
    import numpy as np

    np.save(path, points())


def np_savez(path: Path) -> None:
    import numpy as np

    np.savez(path, a=points())


def xr_netcdf4(path: Path) -> None:
    cube().to_netcdf(path, engine="netcdf4")


def xr_h5netcdf(path: Path) -> None:
    cube().to_netcdf(path, engine="h5netcdf")


def xr_scipy(path: Path) -> None:
    cube().to_netcdf(path, engine="scipy")


def xr_history(path: Path) -> None:
    import datetime as dt

    now = dt.datetime.now(dt.UTC)
    cube().assign_attrs(history=f"{now:%a %b %d %H:%M:%S %Y} created by me").to_netcdf(path, engine="netcdf4")


def xr_dask(path: Path) -> None:
    cube().chunk({"y": 10, "x": 20}).to_netcdf(path, engine="netcdf4")


def xr_zarr2(path: Path) -> None:
    cube().to_zarr(path, zarr_format=2, mode="w")


def xr_zarr3(path: Path) -> None:
    cube().to_zarr(path, zarr_format=3, mode="w", consolidated=False)


def _zipped(path: Path, zarr_format: int) -> None:
    import warnings

    import zarr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the names that version 2 writes twice
        store = zarr.storage.ZipStore(path, mode="w")
        encoding = {name: {"chunks": (10, 60)} for name in ("t", "u")}
        cube().to_zarr(store, zarr_format=zarr_format, consolidated=False, encoding=encoding)
        store.close()


def zarr2_zip(path: Path) -> None:
    _zipped(path, 2)


def zarr3_zip(path: Path) -> None:
    _zipped(path, 3)


def _hdf5(path: Path, *, track_times: bool = False, **options: Any) -> None:
    import h5py

    with h5py.File(path, "w", **options) as file:
        file.create_dataset("a", data=grid()[:50], track_times=track_times)
        file.create_group("g")["b"] = 1
        file.attrs["x"] = 2


def h5py_default(path: Path) -> None:
    _hdf5(path)


def h5py_track_times(path: Path) -> None:
    _hdf5(path, track_times=True)


def h5py_latest(path: Path) -> None:
    _hdf5(path, libver="latest")


def py_mbtiles(path: Path) -> None:
    from pymbtiles import MBtiles, Tile

    with MBtiles(str(path), mode="w") as out:
        out.write_tiles([Tile(1, x, y, b"abc%d" % x) for x in range(2) for y in range(2)])
        out.meta = {"name": "t"}


def py_pmtiles(path: Path) -> None:
    from pmtiles.tile import Compression, TileType, zxy_to_tileid
    from pmtiles.writer import write

    header = {
        "tile_type": TileType.MVT,
        "tile_compression": Compression.NONE,
        "min_lon_e7": 0, "min_lat_e7": 0, "max_lon_e7": 1, "max_lat_e7": 1,
        "center_zoom": 0, "center_lon_e7": 0, "center_lat_e7": 0, "min_zoom": 0, "max_zoom": 1,
    }  # fmt: skip
    with write(str(path)) as out:
        for x in range(2):
            out.write_tile(zxy_to_tileid(1, x, 0), b"abc%d" % x)
        out.finalize(header, {"name": "x"})
