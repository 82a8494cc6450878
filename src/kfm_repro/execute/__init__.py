"""Running a command again: what ran, in which code, with which data and environment."""
