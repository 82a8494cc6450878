"""Small wheels of our own, and environments made of them: real packages without a network."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
from workshop import Workshop


def uv_program() -> str:
    """Return uv, or skip the test."""
    if find_spec("uv") is None:
        pytest.skip("uv is not installed beside kfm-repro: pip install 'kfm-repro[rebuild]'")
    import uv

    return uv.find_uv_bin()


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, str],
    *,
    unlisted: Mapping[str, str] | None = None,
    lies: Mapping[str, str] | None = None,
) -> str:
    """Write a wheel and return its sha256. ``unlisted`` files are not in its RECORD, ``lies`` not as it says."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    listed = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in listed.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    record += f"{info}/RECORD,,\n"
    target = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in {**listed, **(lies or {}), **(unlisted or {}), f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), text)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def make_venv(place: Path, *requirements: str, environ: Mapping[str, str]) -> Path:
    """Make a virtual environment with these packages and return its Python."""
    uv, variables = uv_program(), {**os.environ, **environ}
    python = place / "bin" / "python"
    commands = [
        [uv, "venv", "-q", "--no-project", "--python", sys.executable, str(place)],
        [uv, "pip", "install", "-q", "--no-deps", "--python", str(python), *requirements],
    ]
    for command in commands:
        done = subprocess.run(
            command, cwd=place.parent, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    return python


def record_in(shop: Workshop, python: Path, environ: Mapping[str, str], *words: str) -> str:
    """Record ``pipelines/job.py`` (or the command ``words``) in an environment and return the run id."""
    command = words or (str(python), "pipelines/job.py")
    done = shop.kfm(
        "record", "--pipeline", "job", "--output", "data/processed/**", "--", *command, env=dict(environ)
    )
    assert done.code == 0, done.err
    return done.out.strip().splitlines()[-1]
