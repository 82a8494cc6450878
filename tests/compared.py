"""Two files compared as the outputs of two runs, and what was said of them in short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kfm_repro.compare.context import Context, Side
from kfm_repro.compare.engine import compare_files
from kfm_repro.model.finding import OutputComparison

NOW_A, NOW_B = 1_770_153_248, 1_795_341_601
RUNS = Context(a=Side(window=(NOW_A - 8.0, NOW_A + 22.0)), b=Side(window=(NOW_B - 1.0, NOW_B + 29.0)))

Write = Callable[[Path], object]


def written(folder: Path, side: str, name: str, content: bytes | Write) -> Path:
    path = folder / side / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    return path


def compared(
    folder: Path, a: bytes | Write, b: bytes | Write, name: str, context: Context = RUNS
) -> OutputComparison:
    left, right = written(folder, "a", name, a), written(folder, "b", name, b)
    return compare_files(left, right, name=name, context=context)


def brief(result: OutputComparison) -> set[str]:
    """Return the findings as ``kind:rung``, with ``@`` and the pointer, band or member where there is one."""
    found = set()
    for finding in result.findings:
        where = finding.where.get("pointer", finding.where.get("band", finding.where.get("member", "")))
        found.add(f"{finding.kind}:{finding.rung}" + (f"@{where}" if where != "" else ""))
    return found
