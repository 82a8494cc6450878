"""Random JSON documents against an independent statement of what each change deserves."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfm_repro.compare.context import Context
from kfm_repro.compare.document import compare_json
from kfm_repro.model.finding import Finding, Kind, Rung

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, -0.0, 1.0, 0.5, 1e300]),
    st.sampled_from(["", "x", "y", "é", "1"]),
)
texts = st.lists(st.sampled_from("xyz"), max_size=4)
documents = st.recursive(
    st.one_of(scalars, texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["a", "b/c", "d~e", "", "0", "coordinates", "data"]), inner, max_size=4
        ),
        st.lists(st.dictionaries(st.sampled_from("ab"), inner, max_size=2), max_size=4),
    ),
    max_leaves=16,
)
relaxed = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much], deadline=None
)
randoms = st.integers(0, 2**32).map(random.Random)


def found(folder: Path, a: Any, b: Any) -> tuple[Finding, ...]:
    for name, value in (("a", a), ("b", b)):
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return compare_json(folder / "a", folder / "b", Context())


def shuffled(value: Any, stream: random.Random, *, arrays: bool) -> Any:
    if isinstance(value, dict):
        members = [(key, shuffled(member, stream, arrays=arrays)) for key, member in value.items()]
        stream.shuffle(members)
        return dict(members)
    if isinstance(value, list):
        made = [shuffled(member, stream, arrays=arrays) for member in value]
        if arrays:
            stream.shuffle(made)
        return made
    return value


def leaves(value: Any, parts: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [leaf for key, member in value.items() for leaf in leaves(member, (*parts, key))]
    if isinstance(value, list):
        return [leaf for at, member in enumerate(value) for leaf in leaves(member, (*parts, at))]
    return [parts]


def with_leaf(value: Any, parts: tuple[str | int, ...], leaf: Any) -> Any:
    if not parts:
        return leaf
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[parts[0]] = with_leaf(value[parts[0]], parts[1:], leaf)
    return copy


def meaning(value: Any, own: str = "", *, below: bool = False) -> str:
    """Oracle: a text that two documents share when nothing but the order of keys and of sets differs."""
    if isinstance(value, dict):
        members = (
            f"{key!r}:{meaning(member, key, below=below or key == 'coordinates')}"
            for key, member in value.items()
        )
        return "{" + ",".join(sorted(members)) + "}"
    if isinstance(value, list):
        made = [meaning(member, own, below=below) for member in value]
        objects = all(isinstance(member, dict) for member in value)
        names = all(isinstance(member, str) for member in value)
        free = not below and (objects or (names and own != "data"))
        return "[" + ",".join(sorted(made) if free else made) + "]"
    return f"{type(value).__name__}{value!r}"


@relaxed
@given(document=documents, stream=randoms)
def test_shuffled_keys_are_key_order_and_nothing_else(
    tmp_path: Path, document: Any, stream: random.Random
) -> None:
    other = shuffled(document, stream, arrays=False)
    findings = found(tmp_path, document, other)
    expected = set() if json.dumps(document) == json.dumps(other) else {(Kind.KEY_ORDER, Rung.ORDER)}
    assert {(finding.kind, finding.rung) for finding in findings} == expected


@relaxed
@given(document=documents, stream=randoms, keys=st.booleans())
def test_one_changed_scalar_is_one_value_at_its_pointer(
    tmp_path: Path, document: Any, stream: random.Random, *, keys: bool
) -> None:
    places = leaves(document)
    if not places:
        return
    place = stream.choice(places)
    other = with_leaf(document, place, "changed")
    other = shuffled(other, stream, arrays=False) if keys else other
    (finding,) = [f for f in found(tmp_path, document, other) if f.kind != Kind.KEY_ORDER]
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)
    assert (finding.rung, finding.where, finding.count) == (Rung.VALUE, {"pointer": pointer}, 1)
    assert finding.examples[0].b == "changed"


@relaxed
@given(document=documents, stream=randoms)
def test_shuffled_arrays_are_order_exactly_where_they_are_sets(
    tmp_path: Path, document: Any, stream: random.Random
) -> None:
    other = shuffled(document, stream, arrays=True)
    rungs = {finding.rung for finding in found(tmp_path, document, other)}
    if json.dumps(document) == json.dumps(other):
        assert not rungs
    elif meaning(document) == meaning(other):
        assert rungs == {Rung.ORDER}
    else:
        assert Rung.VALUE in rungs or Rung.NOISE in rungs
