"""Arrays of any number of dimensions: NumPy, HDF5 and netCDF, Zarr. Nothing in them is ever unpickled or followed."""
