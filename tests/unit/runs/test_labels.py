"""Labels: their order, where they come from, what may be shown, and what an unknown one does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfm_repro.errors import UsageError
from kfm_repro.model.manifest import Entry
from kfm_repro.runs.labels import Labels, may_show, read_labels
from kfm_repro.runs.project import LABELS, Project, find_project


def project(root: Path, settings: str = "") -> Project:
    root.mkdir(parents=True, exist_ok=True)
    (root / "kfm-repro.toml").write_text(settings, encoding="utf-8")
    return find_project(root)


def entry(path: str, **extra: Any) -> Entry:
    return Entry(path=path, extra=extra)


def labels(inputs: dict[str, str | None], outputs: dict[str, str | None]) -> Labels:
    return Labels(inputs=inputs, outputs=outputs, order=LABELS)


@pytest.mark.parametrize(
    ("label", "in_use", "shown"),
    [
        (None, False, True),
        (None, True, False),
        ("public", True, True),
        (" Public ", True, True),
        ("generalized", True, False),
        ("restricted", True, False),
        ("secret-squirrel", True, False),
        ("secret-squirrel", False, False),
    ],
)
def test_rule_17_values_are_shown_only_of_outputs_whose_label_allows_it(
    label: str | None,
    in_use: bool,  # noqa: FBT001 - a table of cases
    shown: bool,  # noqa: FBT001 - a table of cases
) -> None:
    assert may_show(label, in_use=in_use, order=LABELS) is shown


def test_rule_17_the_setting_says_up_to_which_label_values_are_shown() -> None:
    assert may_show("generalized", in_use=True, order=LABELS, disclose="generalized")
    assert not may_show("internal", in_use=True, order=LABELS, disclose="generalized")


def test_rule_17_one_label_anywhere_withholds_what_has_none() -> None:
    assert labels({"a": None}, {"b": None}).may_show("b")
    assert not labels({"a": "public"}, {"b": None}).may_show("b")


@given(st.sampled_from(LABELS), st.sampled_from(LABELS))
def test_rule_21_8_an_output_passes_exactly_when_it_is_at_least_as_restricted(given: str, made: str) -> None:
    allowed = LABELS.index(made) >= LABELS.index(given)
    assert (labels({"in": given}, {"out": made}).less_restricted() == ()) is allowed


def test_rule_21_8_the_most_restricted_input_counts() -> None:
    (reason,) = labels({"a": "public", "b": "restricted"}, {"o": "internal"}).less_restricted()
    assert reason == "o is internal, but its input b is restricted"


@pytest.mark.parametrize("label", [None, "?", "top-secret"])
def test_rule_21_8_an_unknown_label_denies(label: str | None) -> None:
    assert labels({"a": "public"}, {"o": label}).less_restricted()
    assert labels({"a": label, "b": "public"}, {"o": "restricted"}).less_restricted()
    assert labels({"a": label}, {"o": "sensitive"}).less_restricted() == ()


def test_rule_21_8_an_unknown_label_denies_without_inputs_as_well() -> None:
    assert labels({}, {"o": "bogus", "p": "public", "q": None}).less_restricted() == (
        "o has an unknown label ('bogus')",
    )
    assert labels({}, {}).less_restricted() == ()


def test_the_most_restricted_of_manifest_sidecar_and_settings_holds(tmp_path: Path) -> None:
    shop = project(tmp_path, '[inputs."*.csv"]\nlabel = "internal"\n')
    (tmp_path / "a.csv.meta.json").write_text(json.dumps({"kfm:sensitivity": "restricted"}), encoding="utf-8")
    (tmp_path / "b.csv.meta.yaml").write_text("properties: {classification: public}\n", encoding="utf-8")
    found = read_labels(shop, [entry("a.csv", classification="public"), entry("b.csv"), entry("c.txt")], [])
    assert found.inputs == {"a.csv": "restricted", "b.csv": "internal", "c.txt": None}


@pytest.mark.parametrize(
    "text", ["{", '{"classification": 3}', '{"classification": ["public"]}', "[]", '{"classification": " "}']
)
def test_a_sidecar_that_cannot_be_read_is_an_unknown_label(text: str, tmp_path: Path) -> None:
    shop = project(tmp_path)
    (tmp_path / "a.csv.meta.json").write_text(text, encoding="utf-8")
    assert read_labels(shop, [], [entry("a.csv", classification="public")]).outputs == {"a.csv": "?"}


def test_a_sidecar_that_leads_out_of_the_project_is_an_unknown_label(tmp_path: Path) -> None:
    shop = project(tmp_path / "project")
    (tmp_path / "elsewhere.json").write_text('{"classification": "public"}', encoding="utf-8")
    (tmp_path / "project/a.csv.meta.json").symlink_to(tmp_path / "elsewhere.json")
    assert read_labels(shop, [], [entry("a.csv")]).outputs == {"a.csv": "?"}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("labels = []", "labels is empty"),
        ('labels = ["a", "A"]', "twice"),
        ('disclose = "nowhere"', "disclose is 'nowhere'"),
        ('[outputs."*.csv"]\nlabel = "secretish"', "secretish"),
        ('[inputs."*.csv"]\nlabel = "secretish"', "secretish"),
        ("[policy]\nsecrtes = true", "secrtes"),
    ],
)
def test_settings_that_name_no_known_label_are_refused(settings: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says):
        project(tmp_path, settings)


def test_an_own_order_of_labels_replaces_ours(tmp_path: Path) -> None:
    shop = project(tmp_path, 'labels = ["green", "amber", "red"]\n[outputs."*"]\nlabel = "amber"\n')
    found = read_labels(shop, [entry("a", classification="RED")], [entry("b")])
    assert found.less_restricted() == ("b is amber, but its input a is RED",)
    assert read_labels(shop, [entry("a", classification="public")], [entry("b")]).less_restricted()
