"""``python -I -S <this folder> FD`` runs the job that FD holds as JSON; ``--probe`` tries what ``landlock`` needs."""

from __future__ import annotations

import json
import os
import sys

if not __package__:
    # Started as a folder: be the package that this folder is, with nothing of ours in front of the library.
    sys.path[:1] = []
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    __package__ = "confine"


def main() -> None:
    """Run one job; its report is one line of JSON on the descriptor that the job names."""
    if sys.argv[1] == "--probe":
        from .probe import probe

        print(json.dumps(probe()))  # noqa: T201 - this is the answer
        return
    from .supervise import Supervisor

    with open(int(sys.argv[1]), "rb") as file:
        job = json.loads(file.read())
    os.write(job["report"], b'{"ready": true}\n')
    report = Supervisor(job).run()
    os.write(job["report"], json.dumps(report).encode() + b"\n")
    os._exit(0)


if __name__ == "__main__":
    main()
