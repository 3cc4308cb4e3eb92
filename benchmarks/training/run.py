"""Time training steps beside snnTorch, SpikingJelly and DCLS; write speed.json and a table.

Usage: python benchmarks/training/run.py [--cases shd delays] [--repeats 3]

The peers live in `.venv-training`; create it with ``benchmarks/install_peers.py training``.
Implementations take turns, with 1 and with 2 threads; each counts with the better of the two. A
case that is run again replaces its earlier results.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent))
import machine  # noqa: E402
from shapes import CASES  # noqa: E402

PYTHON = {"floor": ROOT / ".venv", "neurosim": ROOT / ".venv"}
PEERS = ROOT / ".venv-training"
#: For all alike: threads of OpenMP do not wait in a busy loop for milliseconds. `neurosim.bridge`
#: sets this where it is imported before torch; the times of the others hardly change.
ENVIRONMENT = {"GOMP_SPINCOUNT": "10000"}
START, END = "<!-- speed -->\n", "<!-- end of speed -->\n"


class Target(NamedTuple):
    """A factor that was asked for: time of the other over ours."""

    case: str
    other: str
    factor: float


TARGETS = (
    Target("shd", "snntorch", 3.5), Target("shd", "spikingjelly", 2.7),
    Target("shd", "floor", 1 / 0.75), Target("shd_dense_input", "floor", 1 / 1.2),
    Target("shd_batch_8", "snntorch", 8.0), Target("shd_batch_8", "spikingjelly", 3.0),
    Target("shd_long", "snntorch", 5.5), Target("shd_long", "spikingjelly", 3.0),
    Target("delays", "dcls", 8.0), Target("inference_8", "snntorch", 10.0),
    Target("inference_1", "snntorch", 10.0), Target("conv", "spikingjelly", 1.0),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--out", type=Path, default=HERE.parent / "results-training")
    parser.add_argument("--table", type=Path, default=HERE.parent / "RESULTS-training.md")
    args = parser.parse_args()
    path = args.out / "speed.json"
    args.out.mkdir(parents=True, exist_ok=True)
    results = json.loads(path.read_text()) if path.exists() else {"cases": {}}
    for name in args.cases:
        runs: list[dict[str, Any]] = []
        for repeat in range(args.repeats):
            for library in CASES[name].libraries:
                for threads in args.threads:
                    run = measure(name, library, threads, args.seconds)
                    runs.append(run)
                    print(f"{name:16} {library:13} {threads} threads  {repeat + 1}/{args.repeats}  "
                          f"{run['ms']:8.1f} ms", flush=True)  # fmt: skip
        results["cases"][name] = runs
        results["machine"] = machine.describe()
        path.write_text(json.dumps(results, indent=1) + "\n")
        write_table(results["cases"], args.table)


def measure(case: str, library: str, threads: int, seconds: float) -> dict[str, Any]:
    """Run one implementation in a process of its own."""
    python = PYTHON.get(library, PEERS) / "bin" / "python"
    done = subprocess.run(
        [str(python), str(HERE / "worker.py"), case, library, "--threads", str(threads),
         "--seconds", str(seconds)],
        capture_output=True, text=True, check=False, env=os.environ | ENVIRONMENT,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise SystemExit(f"{case} {library}: {done.stderr.strip().splitlines()[-1:]}")
    return dict(json.loads(lines[-1]))


def best(runs: Iterable[dict[str, Any]], library: str) -> tuple[list[float], dict[str, Any]]:
    """Return the times of the better number of threads and the run in the middle."""
    mine = [r for r in runs if r["library"] == library]
    groups = [[r for r in mine if r["threads"] == t] for t in sorted({r["threads"] for r in mine})]
    group = min(groups, key=lambda g: statistics.median(r["ms"] for r in g))
    ordered = sorted(group, key=lambda r: r["ms"])
    return [r["ms"] for r in ordered], ordered[len(ordered) // 2]


def table(cases: dict[str, list[dict[str, Any]]]) -> str:
    """Return the tables of times and of factors."""
    text = ["| case | implementation | threads | ms (least to most) | memory over start [MB] "
            "| hidden rates |", "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for name, runs in cases.items():
        for library in CASES[name].libraries:
            times, middle = best(runs, library)
            rates = ", ".join(f"{100 * r:.1f} %" for r in middle["rates"]) or "-"
            text.append(
                f"| {name} | {library} | {middle['threads']} | {middle['ms']:.1f} "
                f"({times[0]:.1f} to {times[-1]:.1f}) | {middle['extra_mb']:.0f} | {rates} |"
            )
    text += ["", "| case | beside | factor | asked | met |", "| --- | --- | --- | --- | --- |"]
    for target in TARGETS:
        if target.case not in cases:
            continue
        runs = cases[target.case]
        factor = best(runs, target.other)[1]["ms"] / best(runs, "neurosim")[1]["ms"]
        met = "yes" if factor >= target.factor else "**no**"
        text.append(
            f"| {target.case} | {target.other} | {factor:.2f} | {target.factor:.2f} | {met} |"
        )
    if "delays" in cases:
        ours, theirs = (best(cases["delays"], n)[1]["extra_mb"] for n in ("neurosim", "dcls"))
        met = "yes" if ours <= 0.5 * theirs else "**no**"
        text.append(f"| delays | dcls, extra memory | {theirs / ours:.2f} | 2.00 | {met} |")
    return "\n".join(text) + "\n"


def write_table(cases: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Put the tables between the marks of the page, or at its end."""
    page = path.read_text() if path.exists() else "# Training: speed and accuracy\n\n"
    if START not in page:
        page += f"\n## Speed\n\n{START}{END}"
    head, rest = page.split(START)
    path.write_text(head + START + table(cases) + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
