"""Execute a notebook with papermill: ``python -c THIS IN.ipynb OUT.ipynb ARGS…``, the arguments those of papermill.

A notebook in Python runs in this very interpreter, whatever its kernel was called where it was written. Talk with
the kernel goes through a folder of ours and not through the network, which a replay may not have.
"""

from __future__ import annotations

import json
import sys
import tempfile
from typing import Any

_LONGEST_PATH = 90
"""The path of a socket is at most 107 bytes long; jupyter_client adds a few."""


def language_of(path: str) -> str:
    """Return the language of a notebook's kernel in lower case; empty when it does not say."""
    with open(path, encoding="utf-8") as file:
        metadata = json.load(file).get("metadata", {})
    said = metadata.get("kernelspec", {}).get("language") or metadata.get("language_info", {}).get("name")
    return str(said or "").lower()


def main() -> None:
    """Run papermill with its own command line, on our way to the kernel."""
    from papermill.cli import papermill
    from papermill.engines import NBClientEngine, papermill_engines
    from traitlets.config import Config

    with tempfile.TemporaryDirectory() as folder:
        config = Config()
        if len(folder) < _LONGEST_PATH:
            config.KernelManager.transport = "ipc"
            config.KernelManager.ip = folder + "/k"

        class Engine(NBClientEngine):  # type: ignore[misc]
            @classmethod
            def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
                return super().execute_managed_notebook(nb_man, kernel_name, config=config, **kwargs)

        papermill_engines.register(None, Engine)
        papermill_engines.register("nbclient", Engine)
        args = sys.argv[1:]
        named = any(word in ("-k", "--kernel") or word.startswith(("-k", "--kernel=")) for word in args[2:])
        if not named and language_of(args[0]) in ("", "python"):
            args += ["-k", "python3"]
        papermill(args, prog_name="papermill")


main()
