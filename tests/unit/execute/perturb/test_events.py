"""The agent's log as it is read: lines of several threads, in any order, and none that is not the agent's."""

from __future__ import annotations

from pathlib import Path

from kfm_repro.execute.perturb.agent.events import Event, Kind, read_events

EVENT = "E\t7\ta1\t{}\tclock\t0\ttime\t\t\t\t0\n"


def read(folder: Path, *lines: str) -> tuple[Event, ...]:
    (folder / "log").mkdir()
    (folder / "log/events").write_text("".join(lines), encoding="ascii")
    return read_events(folder)


def test_a_count_may_come_before_its_event_since_threads_write_both(tmp_path: Path) -> None:
    (event,) = read(tmp_path, "C\t7\ta1\tff\t2\n", EVENT.format("ff"))
    assert (event.kind, event.count) == (Kind.CLOCK, 2)


def test_a_count_without_its_event_is_what_a_full_log_leaves(tmp_path: Path) -> None:
    events = read(tmp_path, EVENT.format("1"), "X\t7\ta1\tfull\n", "C\t7\ta1\tff\t2\n")
    assert [event.how for event in events] == ["time", "full"]


def test_what_the_agent_does_not_write_is_named(tmp_path: Path) -> None:
    events = read(tmp_path, EVENT.format("1"), "C\t7\ta1\tff\tmany\n", "hello\n")
    assert (events[-1].how, events[-1].count) == ("malformed", 2)
