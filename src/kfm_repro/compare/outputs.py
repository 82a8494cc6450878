"""Two sets of outputs: pair them by path, settle what digests settle, compare the rest by meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from kfm_repro.compare.cascade import with_cascades
from kfm_repro.compare.context import Context, Options
from kfm_repro.compare.engine import compare_files, finished
from kfm_repro.compare.latent import latent_findings
from kfm_repro.compare.registry import format_by_name
from kfm_repro.model.finding import Example, FileFacts, Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.manifest import UNRECORDED
from kfm_repro.model.report import Comparison
from kfm_repro.model.verdict import Accept, output_verdict

__all__ = ["Output", "Rule", "compare_outputs"]

_COUNTS = ("row_count", "feature_count")


@dataclass(frozen=True, slots=True)
class Output:
    """One output of one side. ``file`` is None when its bytes are nowhere, and ``reason`` says why.

    ``declared`` holds the further fields of the manifest entry. ``link`` is where a symbolic link to a folder
    leads, relative to the root of its side: such an output has no bytes, and is compared by that.
    """

    facts: FileFacts
    file: Path | None
    reason: str = ""
    link: str = ""
    declared: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """What holds for one output: how it is compared, and the worst that is accepted."""

    options: Options = field(default_factory=Options)
    accept: Accept = Accept.IDENTICAL


def compare_outputs(
    a: Mapping[str, Output],
    b: Mapping[str, Output],
    context: Context,
    rule: Callable[[str], Rule] = lambda _: Rule(),
) -> Comparison:
    """Compare two sets of outputs by path; the result is sorted by path.

    A table in part files with names drawn at random is one output, see `partitioned`.
    """
    context = replace(context, siblings=(_files(a), _files(b)))
    datasets, done = _compare_datasets(a, b, context, rule)
    rules = {path: rule(path) for path in sorted({*a, *b} - done)}
    compared = [
        _compare_one(path, a.get(path), b.get(path), replace(context, options=own.options))
        for path, own in rules.items()
    ]
    files = {path: (_file(a.get(path)), _file(b.get(path))) for path in rules}
    told = [_accepted(result, rules[result.path]) for result in with_cascades(compared, files)]
    return Comparison(outputs=tuple(sorted((*datasets, *told), key=lambda output: output.path)))


def _accepted(result: OutputComparison, rules: Rule) -> OutputComparison:
    accepted = result.verdict is OutputVerdict.EQUIVALENT and rules.accept is Accept.EQUIVALENT
    return msgspec.structs.replace(result, accepted=accepted)


def _compare_datasets(
    a: Mapping[str, Output], b: Mapping[str, Output], context: Context, rule: Callable[[str], Rule]
) -> tuple[list[OutputComparison], set[str]]:
    """Compare the tables in randomly named parts; return the results and the paths that they settle.

    What is ruled for the first recorded part holds for the table, and of what is accepted the strictest.
    """
    if not (a.keys() - b.keys() and b.keys() - a.keys()):
        return [], set()
    from kfm_repro.compare.partitioned import Part, compare_dataset, find_datasets

    sides = [
        {
            path: Part(path, output.file, output.facts)
            for path, output in side.items()
            if not output.link and UNRECORDED not in output.declared
        }
        for side in (a, b)
    ]
    compared: list[OutputComparison] = []
    done: set[str] = set()
    for dataset in find_datasets(sides[0], sides[1]):
        rules = [rule(part.path) for part in dataset.a]
        strictest = next((one for one in rules if one.accept is Accept.IDENTICAL), rules[0])
        options = replace(context, options=rules[0].options)
        result = compare_dataset(dataset, sides[0], sides[1], options)
        if result is not None:
            compared.append(_accepted(result, strictest))
            done |= dataset.paths
    return compared, done


def _files(side: Mapping[str, Output]) -> dict[str, Path]:
    return {path: output.file for path, output in side.items() if output.file is not None}


def _file(output: Output | None) -> Path | None:
    return output.file if output else None


def _compare_one(path: str, a: Output | None, b: Output | None, context: Context) -> OutputComparison:
    if a is None or b is None:
        return _one_sided(path, a, b)
    facts = (a.facts, b.facts)
    if a.facts.sha256 is not None and a.facts.sha256 == b.facts.sha256:
        return _identical(path, a.file or b.file, context, facts)
    if a.file is None or b.file is None:
        return _by_links(path, a, b) if a.link or b.link else _by_facts(path, a, b)
    try:
        result = compare_files(a.file, b.file, name=path, context=context, facts=facts)
    except OSError as exc:
        finding = Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, evidence=f"cannot be read: {exc.strerror}")
        return _result(path, (finding,), *facts)
    if result.verdict is OutputVerdict.IDENTICAL and None not in (a.facts.sha256, b.facts.sha256):
        evidence = "the digests differ and the bytes read later do not: something still wrote to the file"
        return _result(path, (Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, evidence=evidence),), *facts)
    return result


def _identical(
    path: str, file: Path | None, context: Context, facts: tuple[FileFacts, FileFacts]
) -> OutputComparison:
    return _result(path, latent_findings(file, context) if file else (), *facts)


def _one_sided(path: str, a: Output | None, b: Output | None) -> OutputComparison:
    if a is None and b is not None:
        if b.file is None:
            # Behind a link out of the project the recorded run may have had the same.
            rung = Rung.UNKNOWN if UNRECORDED in b.declared else Rung.VALUE
            finding = Finding(kind=Kind.EXTRA_OUTPUT, rung=rung, evidence=b.reason or "only in B")
        else:
            finding = Finding(
                kind=Kind.EXTRA_OUTPUT, rung=Rung.VALUE, evidence="written in B, not declared in A"
            )
        return _result(path, (finding,), None, b.facts)
    finding = Finding(kind=Kind.MISSING_OUTPUT, rung=Rung.VALUE, evidence="declared in A, not written in B")
    return _result(path, (finding,), a.facts if a else None, None)


def _by_links(path: str, a: Output, b: Output) -> OutputComparison:
    """Compare where symbolic links lead: what lies there is an output of its own."""
    findings: tuple[Finding, ...] = ()
    if a.link != b.link:
        both = a.link and b.link
        evidence = (
            "symbolic links to other folders" if both else "a symbolic link to a folder on one side only"
        )
        example = Example(a=a.link or None, b=b.link or None)
        findings = (Finding(kind=Kind.VALUE, rung=Rung.VALUE, examples=(example,), evidence=evidence),)
    return _result(path, findings, a.facts, b.facts)


def _by_facts(path: str, a: Output, b: Output) -> OutputComparison:
    """Compare what the manifests say when the bytes of a side are nowhere (rule 10)."""
    findings = [
        Finding(
            kind=Kind.ROWS_ADDED if right > left else Kind.ROWS_REMOVED,
            rung=Rung.VALUE,
            count=abs(right - left),
            of=left,
            evidence=f"{name} {left} against {right}, by the manifests",
        )
        for name in _COUNTS
        if isinstance(left := getattr(a.facts, name), int)
        and isinstance(right := getattr(b.facts, name), int)
        and left != right
    ]
    findings += [
        Finding(
            kind=Kind.VALUE,
            rung=Rung.VALUE,
            where={"pointer": f"/{name}"},
            examples=(Example(a=_short(a.declared[name]), b=_short(b.declared[name])),),
            evidence=f"the manifests declare another {name}",
        )
        for name in sorted(a.declared)
        if name in b.declared and a.declared[name] != b.declared[name]
    ]
    reason = a.reason or b.reason
    digests = "no digest was recorded" if None in (a.facts.sha256, b.facts.sha256) else "digests differ"
    sizes = f"{_size(a.facts)} against {_size(b.facts)} bytes"
    evidence = f"{digests} ({sizes}) and the meaning could not be compared: {reason}"
    if UNRECORDED in a.declared or UNRECORDED in b.declared:
        evidence = f"could not be compared: {reason}"
    findings.append(Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, evidence=evidence))
    return _result(path, findings, a.facts, b.facts)


def _result(
    path: str, findings: Iterable[Finding], a: FileFacts | None, b: FileFacts | None
) -> OutputComparison:
    made = finished(findings)
    return OutputComparison(
        path=path, verdict=output_verdict(made), format=format_by_name(path), a=a, b=b, findings=made
    )


def _size(facts: FileFacts) -> str:
    return "unknown" if facts.size_bytes is None else str(facts.size_bytes)


def _short(value: object) -> str:
    return str(value)[:200]
