"""Map tiles: archives of tiles compared by zoom, column and row, and vector tiles by their features."""
