"""Call ``pkg.mod:func``: ``python -c THIS pkg.mod:func ARGS…``.

The function gets those parameters of ``KFM_PARAMS`` that its signature names, or the whole document when it takes one
called ``params``. What it returns is the exit code when it is a number, else success.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
from collections.abc import Callable
from typing import Any


def chosen(call: Callable[..., Any], known: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return positional and keyword arguments for ``call`` from the parameters ``known``."""
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return [], {}
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.name in known:
            value = known[parameter.name]
        elif parameter.name == "params" and "KFM_PARAMS" in os.environ:
            value = known
        elif parameter.default is parameter.empty:
            sys.exit(f"{sys.argv[0]} needs the parameter {parameter.name!r}, which params.json does not have")
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            break
        else:
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(value)
        else:
            named[parameter.name] = value
    return positional, named


def main() -> None:
    """Import, call, and end with the exit code that the function asks for."""
    del sys.argv[0]
    here = os.getcwd()
    sys.path[:] = [here] + [path for path in sys.path if path not in ("", here)]
    module, _, name = sys.argv[0].partition(":")
    call = getattr(importlib.import_module(module), name)
    known = {}
    if os.environ.get("KFM_PARAMS"):
        with open(os.environ["KFM_PARAMS"], encoding="utf-8") as file:
            known = json.load(file)
    positional, named = chosen(call, known if isinstance(known, dict) else {})
    result = call(*positional, **named)
    if inspect.iscoroutine(result):
        import asyncio

        result = asyncio.run(result)
    if isinstance(result, int) and not isinstance(result, bool):
        sys.exit(result)


main()
