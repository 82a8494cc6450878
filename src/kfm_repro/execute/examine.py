"""Examine this machine: the levels of isolation it has, the axes that can be pinned and varied, the tools."""

from __future__ import annotations

import importlib.util
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from kfm_repro.errors import KfmReproError
from kfm_repro.execute.isolate import Isolation, choose, detect
from kfm_repro.execute.perturb.agent import Mechanism, build_agent
from kfm_repro.execute.perturb.axes import AXES
from kfm_repro.execute.perturb.locales import OTHER_LOCALE, other_locale
from kfm_repro.execute.perturb.prove import Proof, Stage, prove
from kfm_repro.execute.rebuild.tool import uv_program
from kfm_repro.model.doctor import DoctorReport, ProvedAxis, Rung, Tool

__all__ = ["examine"]

_MOMENT = datetime(2026, 2, 3, 21, 14, 8, tzinfo=UTC)
"""Stands for the recorded start of a run."""


def examine(wanted: str, python: str) -> DoctorReport:
    """Return what this machine can do at the level ``wanted`` with the interpreter ``python``, as canaries saw it.

    Raises UsageError, and NotReplayable for a level that cannot be had here.
    """
    chosen = choose(wanted)
    built = build_agent()
    notes = [f"isolation {chosen.level}: {text}" for text in chosen.lost]
    proofs: dict[str, Proof] = {}
    try:
        proofs = prove(Stage(chosen.level, python, {"PATH": os.defpath}), _MOMENT)
    except KfmReproError as exc:
        notes.append(f"no axis is proved: {exc.message}")
    if chosen.level is Isolation.NONE:
        mechanism = Mechanism.NONE
    else:
        mechanism = Mechanism.LIBRARY if built.library else Mechanism.PYTHON
    return DoctorReport(
        level=chosen.level,
        levels=tuple(
            Rung(level=item.level, available=item.available, reason=item.reason, enable=item.enable_line)
            for item in detect()
        ),
        agent=mechanism,
        agent_reason=built.reason,
        axes=tuple(_axis(name, proof) for name, proof in sorted(proofs.items())),
        tools=_tools(),
        notes=tuple(notes),
    )


def _axis(name: str, proof: Proof) -> ProvedAxis:
    axis = AXES[name]
    return ProvedAxis(
        axis=name, pin=axis.pinned, vary=axis.varied,
        pinned=proof.pinned.effective, pin_reason=proof.pinned.reason,
        varied=proof.varied.effective, vary_reason=proof.varied.reason,
    )  # fmt: skip


def _tools() -> tuple[Tool, ...]:
    programs = (
        ("git", "the code of a run", "apt-get install git"),
        ("bwrap", "isolation level namespace", "apt-get install bubblewrap"),
        ("cc", "the preloaded library, where the wheel has none", "apt-get install gcc libc6-dev"),
        ("setarch", "axis aslr", "apt-get install util-linux"),
        ("taskset", "axis affinity", "apt-get install util-linux"),
    )
    locale = other_locale()
    found = [
        *(_tool(name, shutil.which(name), use, get) for name, use, get in programs),
        _tool("uv", uv_program(os.environ), "replay --env rebuild", "pip install 'kfm-repro[rebuild]'"),
        _tool(OTHER_LOCALE, str(locale) if locale else None, "axis locale", "apt-get install locales"),
        *(
            _tool(name, _library(name), use, f"pip install 'kfm-repro[{extra}]'")
            for name, extra, use in _LIBRARIES
        ),
    ]
    return tuple(sorted(found, key=lambda tool: tool.name))


_LIBRARIES = (
    ("distributed", "cluster", "nightly on a cluster of Dask"),
    ("duckdb", "duckdb", "comparing DuckDB files"),
    ("h5py", "arrays", "comparing HDF5 and netCDF-4 by meaning"),
    ("papermill", "notebook", "pipelines that are notebooks"),
    ("python_calamine", "xlsx", "comparing Excel workbooks"),
    ("rasterio", "raster", "comparing GeoTIFF, and the pixels of PNG and JPEG, by meaning"),
    ("rdflib", "rdf", "comparing RDF with blank nodes by meaning"),
    ("zarr", "arrays", "comparing Zarr by meaning"),
)
"""Libraries of extras: name, extra, what for."""


def _library(name: str) -> str | None:
    """Return the folder of a library, None if it is not installed; nothing is imported."""
    spec = importlib.util.find_spec(name)
    return str(Path(spec.origin).parent) if spec and spec.origin else None


def _tool(name: str, found: str | None, used_for: str, get: str) -> Tool:
    return Tool(name=name, found=found, used_for=used_for, get="" if found else get)
