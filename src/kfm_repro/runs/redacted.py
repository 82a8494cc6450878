"""Whole documents without secrets, for what is printed of a record that others may have written (rule 24)."""

from __future__ import annotations

from typing import Any

from kfm_repro.runs.secrets import redact_arguments, redact_variables

__all__ = ["redacted"]


def redacted(value: Any, name: str = "") -> Any:  # noqa: ANN401 - any JSON value, and the like comes back
    """Return a JSON value with the secrets in its texts replaced.

    ``name`` is the key it is under, which may make it one. A list of texts is read as arguments.
    """
    if isinstance(value, str):
        return redact_variables({name: value})[name] if value else value
    if isinstance(value, dict):
        return {key: redacted(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if value and all(isinstance(item, str) for item in value):
            return list(redact_arguments(value))
        return [redacted(item) for item in value]
    return value
