"""The night: choose what to replay, replay it, remember how it ended, and say what is no longer reproducible."""
