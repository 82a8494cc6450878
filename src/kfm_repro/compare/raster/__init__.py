"""Rasters: GeoTIFF block by block, pictures by their pixels; metadata told from content."""
