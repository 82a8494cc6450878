"""How restricted data is: labels of inputs and outputs, their order, and what may be shown (rules 17 and 21).

Beside them the licences, which are found in the same places.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kfm_repro.errors import KfmReproError
from kfm_repro.model.manifest import Entry
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import Root
from kfm_repro.runs.project import Project
from kfm_repro.runs.trust import foreign_labels

__all__ = [
    "UNKNOWN_LABEL",
    "Labels",
    "described_by",
    "label_fields",
    "may_show",
    "read_labels",
    "restriction",
    "strictest",
]

UNKNOWN_LABEL = "?"
"""Stands for a label that is there and cannot be read: it denies, as every label out of the order does."""

_FIELDS = ("classification", "sensitivity", "label")
_LICENSES = ("license", "license_spdx", "licence")
_PREFIX = "kfm:"
_SIDECARS = (".meta.json", ".meta.yaml", ".meta.yml")
_MAX_SIDECAR_BYTES = 1 << 20
_UNREADABLE = {_FIELDS[0]: UNKNOWN_LABEL}


def restriction(label: str | None, order: tuple[str, ...]) -> int | None:
    """Return how restricted a label is (0: least), None for no label and for one that is not in the order."""
    if label is None:
        return None
    folded = label.strip().casefold()
    return next((rank for rank, name in enumerate(order) if name.casefold() == folded), None)


def may_show(label: str | None, *, in_use: bool, order: tuple[str, ...], disclose: str | None = None) -> bool:
    """Return whether example values of an output may appear in reports, summaries and packs (rule 17).

    Without any label in use everything may. Else only what is at most as restricted as ``disclose`` (default:
    the first of the order); no label, or an unknown one, denies.
    """
    if label is None and not in_use:
        return True
    rank, most = restriction(label, order), restriction(disclose or order[0], order)
    return rank is not None and most is not None and rank <= most


@dataclass(frozen=True)
class Labels:
    """The labels of one run: by path, None where there is none.

    ``added`` are those that the manifests alone do not say, ``licenses`` the licences that are known.
    """

    inputs: Mapping[str, str | None]
    outputs: Mapping[str, str | None]
    order: tuple[str, ...]
    disclose: str | None = None
    added: Mapping[str, str] = field(default_factory=dict)
    licenses: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def in_use(self) -> bool:
        """Whether any input or output has a label."""
        return any(label is not None for label in (*self.inputs.values(), *self.outputs.values()))

    def may_show(self, path: str) -> bool:
        """Return whether example values of the output ``path`` may be shown (rule 17)."""
        label = self.outputs.get(path)
        return may_show(label, in_use=self.in_use, order=self.order, disclose=self.disclose)

    def closed(self, *, with_inputs: bool) -> tuple[str, ...]:
        """Return the outputs, and on demand the inputs, that may not leave the project unasked, sorted."""
        known = [*self.outputs.items(), *(self.inputs.items() if with_inputs else ())]
        return tuple(
            sorted(
                {
                    path
                    for path, label in known
                    if not may_show(label, in_use=self.in_use, order=self.order, disclose=self.disclose)
                }
            )
        )

    def less_restricted(self) -> tuple[str, ...]:
        """Return why outputs are, or may be, less restricted than the inputs: one sentence per output.

        An input without a known label counts as the most restricted; an output without one as less than any. Without
        inputs there is nothing to be less restricted than, and only an unknown label denies.
        """
        if not self.inputs:
            unknown = [
                path
                for path, label in self.outputs.items()
                if label is not None and restriction(label, self.order) is None
            ]
            return tuple(f"{path} has {_say(self.outputs[path])}" for path in sorted(unknown))
        ranked = {path: restriction(label, self.order) for path, label in self.inputs.items()}
        most = len(self.order) - 1
        floor_path = max(ranked, key=lambda path: (most + 1 if ranked[path] is None else ranked[path], path))
        floor = ranked[floor_path]
        reasons = []
        for path, label in sorted(self.outputs.items()):
            rank = restriction(label, self.order)
            if rank is None:
                reasons.append(f"{path} has {_say(label)}")
            elif floor is None and rank < most:
                reasons.append(
                    f"{path} is {label}, but its input {floor_path} has {_say(self.inputs[floor_path])}"
                )
            elif floor is not None and rank < floor:
                reasons.append(f"{path} is {label}, but its input {floor_path} is {self.inputs[floor_path]}")
        return tuple(reasons)


def read_labels(
    project: Project, inputs: Iterable[Entry], outputs: Iterable[Entry], *, run: RunDir | None = None
) -> Labels:
    """Return the labels of a run: from the manifests, from sidecars beside the files, from the settings.

    Where they disagree, the most restricted one holds. A sidecar of ``x.csv`` is ``x.csv.meta.json`` (or
    ``.meta.yaml``); one that cannot be read is an unknown label. With ``run``, those that came with its pack
    hold as well. Of licences the first one in this order holds.
    """
    settings, beside = project.settings, _Sidecars(project.root)
    came = foreign_labels(run) if run is not None else {}
    added: dict[str, str] = {}
    licenses: dict[str, str] = {}

    def read(entry: Entry, label: str | None, license_: str | None) -> str | None:
        sidecars = _sidecars(beside, entry.path)
        own = _labels_in(entry.extra)
        others = [text for document in sidecars for text in _labels_in(document)]
        found = [*own, *others, *filter(None, (label, came.get(entry.path)))]
        known = [text for document in (entry.extra, *sidecars) for text in _texts(document, _LICENSES)]
        for text in (*known, *filter(None, [license_])):
            licenses.setdefault(entry.path, text)
        label = strictest(found, settings.labels)
        if label is not None and label != strictest(own, settings.labels):
            added[entry.path] = label
        return label

    return Labels(
        inputs={
            item.path: read(item, settings.input_label(item.path), settings.input_license(item.path))
            for item in inputs
        },
        outputs={
            item.path: read(item, given.label, given.license)
            for item in outputs
            for given in (settings.for_output(item.path),)
        },
        order=settings.labels,
        disclose=settings.disclose,
        added=added,
        licenses=licenses,
    )


def label_fields(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return those fields of a manifest entry that say how restricted the data is and what its licence is."""
    names = {prefix + name for name in (*_FIELDS, *_LICENSES) for prefix in ("", _PREFIX)}
    return {name: value for name, value in extra.items() if name in names}


def described_by(path: str) -> str:
    """Return the file that a sidecar describes; any other path is returned as it is."""
    return next((path.removesuffix(suffix) for suffix in _SIDECARS if path.endswith(suffix)), path)


def _say(label: str | None) -> str:
    if label is None:
        return "no label"
    return "a label that cannot be read" if label == UNKNOWN_LABEL else f"an unknown label ({label[:40]!r})"


class _Sidecars:
    """Finds sidecars below a root: every folder is listed once, for most files have none."""

    def __init__(self, root: Path) -> None:
        self._base, self._root = root, Root(root)
        self._names: dict[str, frozenset[str]] = {}

    def of(self, path: str, suffix: str) -> Path | None:
        """Return the sidecar of ``path`` with this suffix, None when there is none. Raises UnsafePath, OSError."""
        folder, _, name = path.rpartition("/")
        if folder not in self._names:
            self._root.check(path + suffix, what="sidecar")
            try:
                names = os.listdir(self._base / folder)  # noqa: PTH208 - a Path per file costs more
            except (FileNotFoundError, NotADirectoryError):
                names = []
            self._names[folder] = frozenset(found for found in names if found.endswith(_SIDECARS))
        if name + suffix not in self._names[folder]:
            return None
        file = self._root.path(path + suffix, what="sidecar")
        return file if file.is_file() else None


def strictest(found: list[str], order: tuple[str, ...]) -> str | None:
    """Return the most restricted of some labels, an unknown one first; None when there are none."""
    unknown = [label for label in found if restriction(label, order) is None]
    return (
        unknown[0] if unknown else max(found, key=lambda label: restriction(label, order) or 0, default=None)
    )


def _labels_in(document: Mapping[str, Any]) -> list[str]:
    """Return the labels in a mapping, in the order of the fields; what is no text cannot be read."""
    return _texts(document, _FIELDS, otherwise=UNKNOWN_LABEL)


def _texts(document: Mapping[str, Any], fields: tuple[str, ...], *, otherwise: str = "") -> list[str]:
    """Return the texts of ``fields``, also with the prefix; ``otherwise`` stands for what is no text."""
    values = [document.get(prefix + name) for name in fields for prefix in ("", _PREFIX)]
    texts = [
        value.strip() if isinstance(value, str) and value.strip() else otherwise
        for value in values
        if value is not None
    ]
    return [text for text in texts if text]


def _sidecars(beside: _Sidecars, path: str) -> list[Mapping[str, Any]]:
    """Return what the sidecars of a file say, their ``properties`` apart."""
    found: list[Mapping[str, Any]] = []
    for suffix in _SIDECARS:
        try:
            file = beside.of(path, suffix)
            if file is None:
                continue
            if file.stat().st_size > _MAX_SIDECAR_BYTES:
                return [_UNREADABLE]
            document = _parse(file.read_text(encoding="utf-8"), suffix)
        except (OSError, ValueError, RecursionError, KfmReproError):
            return [_UNREADABLE]
        if not isinstance(document, dict):
            return [_UNREADABLE]
        properties = document.get("properties")
        found += [document, *([properties] if isinstance(properties, dict) else [])]
    return found


def _parse(text: str, suffix: str) -> Any:  # noqa: ANN401 - a parsed document is anything until it is checked
    if suffix.endswith(".json"):
        return json.loads(text)
    import yaml

    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise ValueError("aliases")
        return yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ValueError("not YAML") from exc
