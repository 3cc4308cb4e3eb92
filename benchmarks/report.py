"""Write the results of the benchmarks as a Markdown page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

from case import Case
from cases import CASES

NAMES = {
    "neurosim-f32": "**neurosim float32**",
    "neurosim-f64": "**neurosim float64**",
    "neurosim-f32-1": "neurosim float32",
    "neurosim-f32-2": "neurosim float32",
    "neurosim-f32-cold": "neurosim float32, empty kernel cache",
    "nest": "NEST",
    "brian2": "Brian2",
    "brian2-1": "Brian2 C++ standalone",
    "brian2-2": "Brian2 C++ standalone",
}
PEERS = {"brian2": ("Brian2", ("brian2-1", "brian2-2")), "nest": ("NEST", ("nest",))}
QUANTITIES = {
    "rtf": "real-time factor",
    "build_s": "construction [s]",
    "peak_rss_mb": "peak memory [MB]",
}
SAME_RATE = 0.1  # largest relative difference of mean rates that still counts as equal work

Row = list[str]
Runs = dict[str, list[dict[str, Any]]]


def render(results: dict[str, Any]) -> str:
    """Return the page for everything in results.json."""
    cases = {name: results["cases"][name] for name in CASES if name in results["cases"]}
    parts = ["# Benchmarks", _introduction(results["machine"], cases), "## Requirements"]
    header = ["case", "compared", "neurosim", "other", "factor", "required", "met"]
    rows = [row for name in cases for row in requirements(name, cases)]
    parts.append(_table(header, rows))
    for name, entry in cases.items():
        parts += [f"## {CASES[name].title}", _case_text(CASES[name], entry), _case_table(entry)]
        parts += _remarks(CASES[name], entry)
    return "\n\n".join(parts) + "\n"


def requirements(name: str, cases: dict[str, Any]) -> list[Row]:
    """Return the rows of the first table for one case: what was asked for, and what was found."""
    case, runs = CASES[name], cases[name]["runs"]
    rows = []
    for key in ("neurosim-f32", "neurosim-f64", "neurosim-f32-cold"):
        own = _median(runs, key, case.measure)
        if own is None:
            continue
        for peer, (label, variants) in PEERS.items():
            best = _best(runs, variants, case.measure)
            if best is None:
                continue
            asked = _asked(case, key, peer)
            other = _median(runs, best, case.measure)
            assert other is not None
            shown = f"{label}, {_threads(runs, best)}"
            rows.append(_row(name, key, shown, own, other, asked))
    if "neurosim-f32" in runs:
        rows += _limits(name, case, runs)
        rows += _share(name, case, cases)
    return rows


def _asked(case: Case, key: str, peer: str) -> float | None:
    """Return the factor that was asked for, or None."""
    if key == "neurosim-f64":  # has to beat every peer
        return 1.0
    if key == "neurosim-f32-cold":  # has to beat those that the case is about
        return 1.0 if peer in case.required else None
    return case.required.get(peer)


def _row(name: str, key: str, peer: str, own: float, other: float, asked: float | None) -> Row:
    factor = other / own
    met = "-" if asked is None else _yes(factor >= asked)
    asked_text = "-" if asked is None else f"{asked:g}"
    compared = f"{_plain(key)} to {peer}"
    return [name, compared, f"{own:.4g}", f"{other:.4g}", f"{factor:.3g}", asked_text, met]


def _limits(name: str, case: Case, runs: Runs) -> Iterable[Row]:
    for quantity, limit in case.limits.items():
        own = _median(runs, "neurosim-f32", quantity)
        if own is not None:
            text = f"neurosim float32: {QUANTITIES[quantity]}"
            yield [name, text, f"{own:.4g}", "-", "-", f"at most {limit:g}", _yes(own <= limit)]


def _share(name: str, case: Case, cases: dict[str, Any]) -> Iterable[Row]:
    if case.share_of is None or case.share_of[0] not in cases:
        return
    whole, limit = case.share_of
    for key, threads in (("neurosim-f32", ""), ("neurosim-f32-1", ", 1 thread")):
        own = _median(cases[name]["runs"], key, "rtf")
        other = _median(cases[whole]["runs"], key, "rtf")
        if own is not None and other is not None:
            text = f"neurosim float32{threads}: share of the time of `{whole}`"
            share, met = f"{own / other:.3g}", _yes(own / other <= limit)
            yield [name, text, f"{own:.4g}", f"{other:.4g}", share, f"at most {limit:g}", met]


def _introduction(machine: dict[str, Any], cases: dict[str, Any]) -> str:
    bandwidth = ", ".join(f"{v} (threads: {n})" for n, v in machine["bandwidth_gb_per_s"].items())
    versions: dict[str, str] = {}
    for entry in cases.values():
        for runs in entry["runs"].values():
            for run in runs:
                for package in ("neurosim", "numba", "nest", "brian2"):
                    if package in run["versions"]:
                        versions[package] = run["versions"][package]
    listed = ", ".join(f"{package} {version}" for package, version in versions.items())
    return f"""\
- CPU: {machine["cpu"]}, {machine["cores"]} cores; memory: {machine["memory_gb"]} GB
- memory bandwidth, read and written by copies of a large array [GB/s]: {bandwidth}
- {machine["system"]}; load before the start: {machine["load_before"]}
- {listed}

Written by `python benchmarks/run.py`. The simulators of a case ran in turn, each in its own
process; figures are medians, with the smallest and largest in brackets. dt = 0.1 ms everywhere;
equal rates show equal work. The real-time factor (rtf) is the wall time of the simulation over the
model time; a warm-up before it is not counted. Build is description, compilation and connection;
Brian2 compiles its two runs (warm-up and measurement) separately, except from start to result. NEST
and Brian2 compute in double precision. Their synaptic events are spikes times (mean) out-degree. Of
Brian2 with 1 and 2 threads the faster is compared; NEST has 2 threads; neurosim chooses their
number itself."""


def _case_text(case: Case, entry: dict[str, Any]) -> str:
    synapses = f"{case.neurons:,} neurons, {case.synapses:,} synapses"
    return f"{synapses}. Drive: {case.drive}. Measured {entry['date']}."


def _case_table(entry: dict[str, Any]) -> str:
    header = [
        "simulator", "threads", "build s", "of it compiling", "model s", "simulation s", "rtf",
        "spikes", "rate /s", "million events/s", "peak MB", "process s",
    ]  # fmt: skip
    rows = []
    for key, runs in entry["runs"].items():
        if runs:
            rows.append(_case_row(key, runs))
    return _table(header, rows)


def _case_row(key: str, runs: list[dict[str, Any]]) -> Row:
    def middle(name: str, scale: float = 1.0) -> float:
        return median(run.get(name, 0.0) for run in runs) * scale

    factors = [run["rtf"] for run in runs]
    return [
        NAMES[key],
        str(runs[0]["threads"]),
        f"{middle('build_s'):.2f}",
        f"{middle('compile_s'):.2f}",
        f"{runs[0]['model_s']:g}",
        f"{middle('sim_s'):.3f}",
        f"{median(factors):.4g} ({min(factors):.4g} to {max(factors):.4g})",
        f"{middle('spikes'):,.0f}",
        f"{middle('rate_hz'):.4g}",
        f"{middle('events_per_s', 1e-6):.3g}",
        f"{middle('peak_rss_mb'):.0f}",
        f"{middle('wall_s'):.1f}",
    ]


def _remarks(case: Case, entry: dict[str, Any]) -> list[str]:
    remarks = [f"- {NAMES[key]}: {why}" for key, why in entry["absent"].items()]
    rates = {key: median(r["rate_hz"] for r in runs) for key, runs in entry["runs"].items() if runs}
    if rates and max(rates.values()) > (1 + SAME_RATE) * min(rates.values()):
        remarks.append(f"- The mean rates differ by more than {SAME_RATE:.0%}: not equal work.")
    for key, runs in entry["runs"].items():
        populations = runs[-1].get("rates_hz", {}) if runs else {}
        if len(populations) > 1:
            listed = ", ".join(f"{name} {rate:.2f}" for name, rate in populations.items())
            remarks.append(f"- Rates in {_plain(key)} [/s]: {listed}")
        if runs and "active_neurons" in runs[-1] and case.limits.get("rtf") == 1.0:
            remarks.append(f"- Active neurons in {_plain(key)}: {runs[-1]['active_neurons']}")
    if case.limited_by:
        remarks.append(f"- What takes the time: {case.limited_by}")
    return ["\n".join(remarks)] if remarks else []


def _best(runs: Runs, variants: Iterable[str], measure: str) -> str | None:
    found = {key: _median(runs, key, measure) for key in variants}
    measured = {key: value for key, value in found.items() if value is not None}
    return min(measured, key=_lookup(measured), default=None)


def _lookup(values: dict[str, float]) -> Callable[[str], float]:
    return values.__getitem__


def _median(runs: Runs, key: str, quantity: str) -> float | None:
    return median(run[quantity] for run in runs[key]) if runs.get(key) else None


def _threads(runs: Runs, key: str) -> str:
    threads = runs[key][0]["threads"]
    return f"{threads} thread" + "s" * (threads > 1)


def _plain(key: str) -> str:
    return NAMES[key].strip("*")


def _yes(condition: bool) -> str:
    return "yes" if condition else "**no**"


def _table(header: Row, rows: list[Row]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
