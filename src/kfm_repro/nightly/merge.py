"""The parts of a night put together: the same report as of a night that one machine did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from kfm_repro.errors import Unreadable, UsageError
from kfm_repro.model.nightly import Alarm, NightReport
from kfm_repro.model.report import REPORT_SCHEMA, ErrorInfo
from kfm_repro.model.sound import is_sound
from kfm_repro.model.waiver import merge_uses
from kfm_repro.nightly.agreed import disagreements
from kfm_repro.nightly.choose import plan_digest
from kfm_repro.nightly.regression import Status
from kfm_repro.nightly.report import NOTHING_COMPARED, sealed
from kfm_repro.nightly.shards import parse_shard

__all__ = ["merge_nights", "read_night"]

_MOST_BYTES = 1 << 30
_SAME = (
    "give all parts the same runs, ledger, settings, and options: --night, --select, --pipeline, --budget, --jobs, "
    "--vary, --isolation, --trust, --timeout and --accept"
)


def read_night(path: Path) -> NightReport:
    """Return the report of a night or of a part of one. Raises Unreadable."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise Unreadable(
                f"{path} is too large for the report of a night", hint="name the files of the parts"
            )
        report = msgspec.json.decode(path.read_bytes(), type=NightReport)
    except OSError as exc:
        raise Unreadable(
            f"{path} cannot be read: {exc.strerror or exc}", hint="name the files of the parts"
        ) from exc
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise Unreadable(
            f"{path} is no report of a night: {exc}",
            hint="make it with: kfm-repro nightly --shard I/N --json",
        ) from exc
    if report.command != "nightly":
        raise Unreadable(
            f"{path} is a report of {report.command!r}, not of a night", hint="name the files of the parts"
        )
    if report.schema != REPORT_SCHEMA:
        raise Unreadable(
            f"{path} is of the schema {report.schema[:60]!r}, which this kfm-repro does not know",
            hint=f"make all parts with the same kfm-repro; this one reads {REPORT_SCHEMA}",
        )
    if wrong := next((run.run for run in report.runs if not is_sound(run.report)), None):
        raise Unreadable(
            f"{path} contradicts itself: {wrong.pipeline}/{wrong.run_id} differs in more than its verdict says",
            hint="make it again; reports are not to be changed",
        )
    if silent := next(_silent(report), None):
        raise Unreadable(
            f"{path} contradicts itself: {silent} has regressed, and there is no alarm",
            hint="make it again; reports are not to be changed",
        )
    return report


def _silent(report: NightReport) -> Iterator[str]:
    """Yield every output that has regressed and of which no alarm speaks."""
    told = {(alarm.pipeline, alarm.output) for alarm in report.alarms if alarm.kind == Status.REGRESSION}
    for run in report.runs:
        for output, status in run.status.items():
            regressed = status in (Status.REGRESSION, Status.REGRESSED)
            if regressed and (run.run.pipeline, output) not in told:
                yield f"{output} of {run.run.pipeline}"


def merge_nights(parts: Sequence[NightReport]) -> NightReport:
    """Return the whole night. Raises UsageError unless they are all parts of one night, each of them once."""
    _check(parts)
    first = parts[0]
    taken = {(run.run.pipeline, run.run.run_id) for part in parts for run in part.runs}
    late = {(item.pipeline, item.run_id): item for part in parts for item in part.left_out}
    return sealed(
        msgspec.structs.replace(
            first,
            shard="",
            runs=tuple(
                sorted(
                    (run for part in parts for run in part.runs),
                    key=lambda run: (run.run.pipeline, run.started_at, run.run.run_id),
                )
            ),
            left_out=tuple(late[key] for key in sorted(late) if key not in taken),
            alarms=_alarms(parts),
            waivers=merge_uses(part.waivers for part in parts),
            notes=tuple(dict.fromkeys(note for part in parts for note in (*part.notes, *_unkept(part)))),
        )
    )


def _alarms(parts: Sequence[NightReport]) -> tuple[Alarm, ...]:
    """Return every regression once: of a pipeline that none of the parts replayed, all of them speak."""
    found = {
        (alarm.pipeline, alarm.output): alarm for part in parts for alarm in part.alarms if alarm.pipeline
    }
    return tuple(found[key] for key in sorted(found))


def _unkept(part: NightReport) -> Iterator[str]:
    """Yield why a part does not remember what it found; that it compared nothing is seen anew over all parts."""
    if isinstance(part.error, ErrorInfo) and part.error.code != NOTHING_COMPARED:
        yield f"part {part.shard}: {part.error.message}"


def _check(parts: Sequence[NightReport]) -> None:
    shards = [parse_shard(part.shard or "1/1") for part in parts]
    count = shards[0].count
    if found := next(disagreements(parts), None):
        name, one, two = found
        raise UsageError(
            f"these are not parts of one night: {name} is not the same" + (f" ({one}; {two})" if one else ""),
            hint=_SAME,
        )
    if {part.plan for part in parts} != {parts[0].plan}:
        raise UsageError(
            "these are not parts of one night: the runs that were chosen, or the times they are expected to take, "
            "are not the same",
            hint=_SAME,
        )
    indices = Counter(shard.index for shard in shards)
    if any(shard.count != count for shard in shards) or sorted(indices) != [*range(1, count + 1)]:
        missing = sorted({*range(1, count + 1)} - set(indices))
        raise UsageError(
            f"these are not the {count} parts of a night"
            + (f": missing {missing[0]}/{count}" if missing else ""),
            hint="name the file of every part once",
        )
    if twice := [index for index, number in indices.items() if number > 1]:
        raise UsageError(f"part {twice[0]}/{count} is there twice", hint="name the file of every part once")
    runs = Counter((run.run.pipeline, run.run.run_id) for part in parts for run in part.runs)
    if double := [name for name, number in runs.items() if number > 1]:
        raise UsageError(
            f"two parts replayed the same run: {'/'.join(double[0])}",
            hint="do the night again with one choice",
        )
    _check_whole(parts)


def _check_whole(parts: Sequence[NightReport]) -> None:
    """Refuse parts that together are not what was chosen: a run is gone, or was never chosen."""
    chosen = [(run.run.pipeline, run.run.run_id, run.estimate_s) for part in parts for run in part.runs]
    chosen += [
        (item.pipeline, item.run_id, item.estimate_s)
        for part in parts
        for item in part.left_out
        if not isinstance(item.estimate_s, msgspec.UnsetType)
    ]
    if plan_digest(parts[0].night, chosen) != parts[0].plan:
        raise UsageError(
            f"the parts do not make up one night: the {len(chosen)} runs in them are not those that were chosen",
            hint="name the parts as nightly --shard I/N --json printed them; reports are not to be changed",
        )
