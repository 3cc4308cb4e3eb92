"""The results of a session as a Markdown page."""

from __future__ import annotations

from typing import Any

from gpu.place import Row


def render(session: dict[str, Any]) -> str:
    """Return the page of a session, as `gpu_session.py` keeps it."""
    lines = ["# The GPU engine: a session", ""]
    if session["emulated"]:
        lines += ["On the emulator, at tiny sizes: this tests the script and measures nothing.", ""]
    lines += [
        f"Written by `python benchmarks/gpu_session.py` on {session['date']}; "
        f"{session['seconds']:.0f} s in all. Times are medians; a real-time factor is wall time "
        "over model time, with nothing recorded.",
        "", "## What was asked for", "", "| part | quantity | value | asked | met |",
        "| --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for name, part in session["parts"].items():
        for row in (Row(**r) for r in part["rows"]):
            measured = not (session["emulated"] and (row.at_most or row.at_least))
            if row.met is not None and measured:
                met = "yes" if row.met else "**no**"
                lines.append(f"| {name} | {row.name} | {_value(row)} | {_asked(row)} | {met} |")
    for name, part in session["parts"].items():
        lines += ["", f"## {name}", "", part["title"], ""]
        if part["outcome"] != "done":
            lines += [f"**{part['outcome']}**", ""]
        lines += ["| quantity | value |", "| --- | --- |"]
        lines += [f"| {r.name} | {_value(r)} |" for r in (Row(**r) for r in part["rows"])]
    return "\n".join(lines) + "\n"


def _value(row: Row) -> str:
    if isinstance(row.value, bool):
        return "yes" if row.value else "**no**"
    if isinstance(row.value, str):
        return row.value.replace("|", "/").replace("\n", " ")
    return f"{row.value:.4g} {row.unit}".strip()


def _asked(row: Row) -> str:
    if row.at_most is not None:
        return f"at most {row.at_most:g} {row.unit}".strip()
    return "-" if row.at_least is None else f"at least {row.at_least:g} {row.unit}".strip()
