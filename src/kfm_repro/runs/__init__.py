"""The flight recorder on disk: find a run, read it, check it, write it, keep its bytes."""
