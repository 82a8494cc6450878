"""The supervisor of one command, started as ``python -I -S <this folder>``: standard library only.

It runs in a process of its own, with one thread, so that Landlock, seccomp and capabilities are set between fork and
exec of a program that has nothing else going on. In a namespace it is process 1.
"""
