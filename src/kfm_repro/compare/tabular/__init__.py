"""Tables: rows and columns, whatever file they came from."""
