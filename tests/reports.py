"""Reports made by hand: one that has everything a report can carry, a hostile one, one with many features."""

from __future__ import annotations

import math
import re
from pathlib import Path

from kfm_repro.model.figures import Density, Drawing, Figures, Histogram, Shape, Times
from kfm_repro.model.finding import (
    Cause,
    Example,
    FileFacts,
    Finding,
    Fix,
    Kind,
    OutputComparison,
    OutputVerdict,
    Rung,
)
from kfm_repro.model.report import (
    CodedDrift,
    Drift,
    DriftCode,
    Environment,
    ErrorInfo,
    Precondition,
    Replay,
    Report,
    RunRef,
    Scope,
    count_verdicts,
)
from kfm_repro.model.verdict import run_verdict
from kfm_repro.model.waiver import WaiverState, WaiverUse

__all__ = [
    "GOLD",
    "HOSTILE",
    "MARKDOWN_TAGS",
    "empty_report",
    "full_report",
    "hostile_report",
    "map_report",
    "report_of",
    "without_assets",
]

MARKDOWN_TAGS = frozenset(
    ("h3", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "br", "details", "summary", "ul", "li")
)
"""What our Markdown becomes, and nothing else."""

GOLD = Path(__file__).with_name("gold")

START, DAY = 1_769_990_400.0, 90_061.0
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    "\"><svg onload=alert(4)>'`",
    "{{ 7 * 7 }}{% raw %}",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202egnp.exe\u2066\u200f",
    "javascript:alert(5)",
    "|`*_[a](javascript:alert(6))~~<b>&amp;",
    "::error title=x::y ##[warning]z %0A",
    "]]><!--",
    "line\nbreak\r\ttab\u2028sep\x00null\ufffe",
    "x" * 1_000_000,
    "\ud800 lone",
)
"""Names and values as nobody should write them."""


def report_of(*outputs: OutputComparison, **more: object) -> Report:
    """Return the report of a replay with these outputs."""
    made = {
        "command": "replay",
        "verdict": run_verdict(outputs),
        "counts": count_verdicts(outputs),
        "run": RunRef(
            run_id="01K9A0000000000000000000AA", pipeline="census_1900", git_commit="410fd40fce3d600d",
            source="pipelines/import_census.py", window=(START, START + 0.7),
        ),
        "replays": (
            Replay(
                run_id="01K9B0000000000000000000BB", path="data/work/runs/census_1900/01K9B",
                isolation="namespace", exit_code=0, duration_s=4.2, window=(START + DAY, START + DAY + 0.9),
            ),
        ),
        "outputs": outputs,
    }  # fmt: skip
    return Report(**{**made, **more})  # type: ignore[arg-type]


def empty_report() -> Report:
    """Return the report of a replay that compared nothing."""
    return report_of()


def _facts(size: int) -> FileFacts:
    return FileFacts(sha256="9f2c41d3" * 8, size_bytes=size, row_count=105)


def _timestamp() -> Finding:
    times = tuple(START + 0.1 + at / 100 for at in range(40))
    return Finding(
        kind=Kind.TIMESTAMP,
        rung=Rung.VALUE,
        where={"column": "generated_at"},
        count=105,
        of=105,
        examples=(Example(key={"geoid": "20001"}, a="2026-02-02T00:00:00.1", b="2026-02-03T01:01:01.4"),),
        evidence="A's values lie in run A's window and B's in run B's (ISO 8601)",
        detail={"encoding": "ISO 8601"},
        causes=(
            Cause(
                axis="clock", confidence="proved", replays=("01K9C", "01K9D"),
                source="pipelines/import_census.py:88", call="datetime.now",
            ),
        ),
        fix=Fix(text="take the time from KFM_RUN_STARTED_AT", verified=True),
        figures=Figures(times=Times(a=times, b=tuple(t + DAY for t in times), of=105)),
    )  # fmt: skip


def _floats() -> Finding:
    return Finding(
        kind=Kind.FLOAT_NOISE,
        rung=Rung.NOISE,
        where={"column": "density"},
        count=60,
        of=105,
        examples=(Example(key={"geoid": "20003"}, a=0.1, b=0.10000000000000002),),
        evidence="at most 4 ulp apart",
        figures=Figures(histogram=Histogram(unit="ulp", edges=(1, 2, 3, 4, 5), counts=(40, 12, 5, 3))),
    )


def map_report(count: int) -> Report:
    """Return a report in which ``count`` features moved, each a polygon of twelve vertices."""
    shapes = []
    side = math.ceil(math.sqrt(count))
    step = 10_000 / side
    for at in range(count):
        x, y = (at % side + 0.5) * step, (at // side + 0.5) * step
        points = [
            (round(x + step * 0.4 * math.cos(t)), round(y + step * 0.4 * math.sin(t)))
            for t in (k * math.tau / 12 for k in range(12))
        ]
        outline = "M" + "L".join(f"{px} {py}" for px, py in points) + "Z"
        shapes.append(
            Shape(
                key={"geoid": f"20{at:04d}"},
                a=outline,
                b=outline,
                metres=(count - at) * 0.01,
                east=0.2,
                north=0.1,
            )
        )
    drawing = Drawing(
        unit_m=65.0, of=count + 120, shapes=tuple(shapes),
        density=Density(columns=16, rows=16, cells=((0, 0, 100), (15, 15, 20))),
    )  # fmt: skip
    finding = Finding(
        kind=Kind.GEOMETRY,
        rung=Rung.VALUE,
        where={"column": "geometry"},
        count=count + 120,
        of=2 * count + 200,
        metres={"max": count * 0.01, "p95": count * 0.009, "rmse": count * 0.004},
        evidence="vertices lie elsewhere",
        figures=Figures(drawing=drawing),
    )
    return report_of(
        OutputComparison(
            path="data/processed/counties.gpkg", verdict=OutputVerdict.DIFFERENT, format="geopackage",
            findings=(finding,),
        )
    )  # fmt: skip


def full_report() -> Report:
    """Return a report with causes, source lines, verified fixes and every figure."""
    counties = map_report(6).outputs[0]
    pixels = Finding(
        kind=Kind.PIXELS,
        rung=Rung.VALUE,
        where={"band": 1},
        count=37,
        of=65_536,
        evidence="37 pixels differ by at most 3",
        figures=Figures(density=Density(columns=8, rows=4, cells=((0, 0, 1), (3, 2, 30), (7, 3, 6)))),
    )
    pointer = Finding(
        kind=Kind.PATH,
        rung=Rung.VALUE,
        where={"pointer": "/run_dir"},
        examples=(Example(key={"pointer": "/run_dir"}, a="/srv/kfm", b="/var/replay/workspace"),),
        evidence="a folder of the run or its machine",
        fix=Fix(text="write paths relative to the project root, or leave them out"),
    )
    outputs = (
        OutputComparison(
            path="data/processed/census/summary.csv", verdict=OutputVerdict.DIFFERENT, format="csv",
            a=_facts(12_345_678), b=_facts(12_345_702), findings=(_timestamp(), _floats()),
        ),
        counties,
        OutputComparison(
            path="data/processed/height.tif", verdict=OutputVerdict.DIFFERENT, format="binary", findings=(pixels,)
        ),
        OutputComparison(
            path="data/processed/manifest.json", verdict=OutputVerdict.DIFFERENT, format="json", findings=(pointer,)
        ),
        OutputComparison(path="data/processed/names.csv", verdict=OutputVerdict.IDENTICAL, format="csv"),
        OutputComparison(
            path="data/processed/old.csv", verdict=OutputVerdict.MISSING,
            findings=(Finding(kind=Kind.MISSING_OUTPUT, rung=Rung.VALUE),),
        ),
        OutputComparison(
            path="data/processed/order.csv", verdict=OutputVerdict.EQUIVALENT, accepted=True, format="csv",
            findings=(Finding(kind=Kind.ROW_ORDER, rung=Rung.ORDER, count=82, of=105, fix=Fix(text="sort it")),),
        ),
        OutputComparison(
            path="data/processed/quiet.csv", verdict=OutputVerdict.IDENTICAL, format="csv",
            findings=(Finding(kind=Kind.HOST, rung=Rung.VALUE, latent=True, evidence="the machine's name"),),
        ),
        OutputComparison(
            path="data/processed/secret.bin", verdict=OutputVerdict.UNKNOWN,
            findings=(Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, evidence="the recorded bytes are gone"),),
        ),
    )  # fmt: skip
    return report_of(
        *outputs,
        scope=Scope(
            held={"inputs": "", "zone": "UTC"}, natural=("entropy",), varied={"clock": "+90061"},
            not_exercised=("locale", "threads"), notes=("isolation namespace",),
        ),
        preconditions=(
            Precondition(name="code", state="ok", detail="commit 410fd40"),
            Precondition(name="inputs", state="drift", detail="2 of 5 changed", code="SOURCE_SNAPSHOT_DRIFT"),
        ),
        environment=Environment(
            drift=(Drift(what="shapely", a="2.1.0", b="2.2.0", matters="geometry", change="version"),)
        ),
        drift=(CodedDrift(code=DriftCode.OUTPUT, what="data/processed/census/summary.csv", a="9f", b="77"),),
    )  # fmt: skip


def hostile_report() -> Report:
    """Return a report whose every name and value is hostile."""
    outputs = []
    for at, text in enumerate(HOSTILE):
        finding = Finding(
            kind=Kind.VALUE,
            rung=Rung.VALUE,
            where={"column": text, text[:50]: text},
            count=3,
            of=9,
            examples=(
                Example(key={text: text}, a=text, b=text + "2"),
                Example(key={"row": 1}, a=None, b=text),
            ),
            evidence=text,
            detail={text[:40]: text},
            causes=(Cause(axis=text, confidence=text, source=text, call=text, replays=(text,)),),
            fix=Fix(text=text),
            figures=Figures(
                drawing=Drawing(of=1, shapes=(Shape(key={text: text}, a="M0 0L900 900Z", metres=1.0),))
            ),
        )
        outputs.append(
            OutputComparison(
                path=f"{at} {text}", verdict=OutputVerdict.DIFFERENT, format=text, findings=(finding,)
            )
        )
    text = HOSTILE[1]
    return report_of(
        *outputs,
        run=RunRef(run_id=HOSTILE[0], pipeline=text, git_commit=text, source=text),
        preconditions=tuple(Precondition(name=t, state=t, detail=t, code=t) for t in HOSTILE),
        environment=Environment(drift=tuple(Drift(what=t, a=t, b=None, matters=t) for t in HOSTILE)),
        scope=Scope(held=dict.fromkeys(HOSTILE, text), not_exercised=HOSTILE, shown=text, notes=HOSTILE),
        waivers=tuple(
            WaiverUse(
                output=text,
                where={"column": text},
                kind=text,
                rung=text,
                count=1,
                reason=text,
                expires=text,
                cause=text,
                state=WaiverState.USED,
                found=1,
            )
            for text in HOSTILE
        ),
        error=ErrorInfo(code=text, message="\n".join(HOSTILE), hint=text),
    )


def without_assets(page: str) -> str:
    """Return a page without style, script and their hashes, which have no place in a gold file."""
    page = re.sub(r"(?s)<(style|script)>.*?</\1>", r"<\1></\1>", page)
    return re.sub(r"sha256-[A-Za-z0-9+/]+=*", "sha256-", page)


def write_gold() -> None:
    """Write the gold files anew: ``python tests/reports.py``; then read what git says has changed."""
    from kfm_repro.present.github import render_github
    from kfm_repro.present.html import render_html
    from kfm_repro.present.junit import render_junit
    from kfm_repro.present.markdown import render_markdown

    report = full_report()
    texts = {
        "report.html": without_assets(render_html(report)),
        "report.xml": render_junit(report),
        "report.md": render_markdown(report),
        "report.github.txt": render_github(report),
    }
    for name, text in texts.items():
        (GOLD / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_gold()
