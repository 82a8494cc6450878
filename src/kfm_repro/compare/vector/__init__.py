"""Vector data: features are rows, and geometries are compared by what they mean on the ground."""
