"""Measure neurosim beside NEST and Brian2 and write results.json and RESULTS.md.

Usage: python benchmarks/run.py [--cases cuba coba] [--simulators neurosim-f32 nest] [--repeats 3]

The peers live in environments of their own; create them with `benchmarks/install_peers.py`. The
simulators of a case take turns, so that a busy moment of the machine hits all of them. A case that
is run again replaces its earlier results; the others stay.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import machine
import report
from case import Case
from cases import CASES
from install_peers import ROOT, python_of

HERE = Path(__file__).resolve().parent


class Variant(NamedTuple):
    """A way to run a case: simulator, threads, precision, and whether its kernel cache is empty."""

    simulator: str
    threads: int = 0  # neurosim chooses
    precision: str = "float64"
    cold: bool = False


VARIANTS = {
    "neurosim-f32": Variant("neurosim", precision="float32"),
    "neurosim-f64": Variant("neurosim"),
    "nest": Variant("nest", threads=2),
    "brian2-1": Variant("brian2", threads=1),
    "brian2-2": Variant("brian2", threads=2),
    "neurosim-f32-cold": Variant("neurosim", precision="float32", cold=True),
    "neurosim-f32-1": Variant("neurosim", threads=1, precision="float32"),
    "neurosim-f32-2": Variant("neurosim", threads=2, precision="float32"),
}
DEFAULT = list(VARIANTS)[:6]  # given numbers of threads of neurosim only where asked for


def main() -> None:
    args = _arguments()
    folder: Path = args.out
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {"cases": {}}
    results["machine"] = machine.describe()
    for name in args.cases:
        results["cases"][name] = run_case(name, args)
        path.write_text(json.dumps(results, indent=1) + "\n")
        (folder / "RESULTS.md").write_text(report.render(results))
    print(f"wrote {path} and {folder / 'RESULTS.md'}")


def run_case(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run all variants of a case in turn, `args.repeats` times."""
    case = CASES[name]
    chosen = args.simulators or DEFAULT + ["neurosim-f32-1"] * case.one_thread
    variants = [key for key in chosen if _applies(case, VARIANTS[key])]
    entry: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "absent": dict(case.absent),
        "runs": {key: [] for key in variants},
    }
    prepared = _call([sys.executable, "worker.py", name, "neurosim", "--prepare"], case.limit_s)
    if isinstance(prepared, str):
        raise RuntimeError(f"{name}: {prepared}")
    if case.measure == "result_s":
        for variant in {VARIANTS[key]._replace(cold=False) for key in variants}:
            if variant.simulator == "neurosim":  # fill the kernel cache
                _measure(name, case, variant, 10.0)
    for repeat in range(args.repeats):
        for key in variants:
            failed = entry["absent"].get(key)
            if failed is not None:
                continue
            variant = VARIANTS[key]
            model_ms = case.duration(variant.simulator)
            if args.quick:
                model_ms = max(100.0, model_ms / 10)
            outcome = _measure(name, case, variant, model_ms)
            if isinstance(outcome, str):
                entry["absent"][key] = outcome
                print(f"{name:18} {key:18} failed: {outcome}", flush=True)
                continue
            entry["runs"][key].append(outcome)
            print(
                f"{name:18} {key:18} {repeat + 1}/{args.repeats}  rtf {outcome['rtf']:.4f}  build "
                f"{outcome['build_s']:.2f} s  rate {outcome['rate_hz']:.3f}/s  "
                f"wall {outcome['wall_s']:.1f} s",
                flush=True,
            )
    return entry


def _measure(name: str, case: Case, variant: Variant, model_ms: float) -> dict[str, Any] | str:
    """Run one worker; return its measurements, or why there are none."""
    simulator = variant.simulator
    python = Path(sys.executable) if simulator == "neurosim" else python_of(simulator)
    if not python.exists():
        return f"no environment {python.parent.parent.name}; run benchmarks/install_peers.py"
    command = [
        str(python), "worker.py", name, simulator, "--threads", str(variant.threads),
        "--precision", variant.precision, "--model-ms", str(model_ms),
    ]  # fmt: skip
    if not variant.cold:
        return _call(command, case.limit_s)
    with tempfile.TemporaryDirectory() as cache:
        return _call(command, case.limit_s, NEUROSIM_CACHE_DIR=cache, NUMBA_CACHE_DIR=cache)


def _call(command: list[str], limit_s: float, **variables: str) -> dict[str, Any] | str:
    """Run a worker with a time limit; return its JSON line with wall times, or its error.

    `result_s` is the time from the start of the process to its result, `wall_s` that to its end.
    """
    start = time.time()
    process = subprocess.Popen(
        command, cwd=HERE, env=os.environ | variables, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        output, errors = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"stopped after {limit_s:.0f} s"
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    wall_s = time.time() - start
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if process.returncode < 0:
        return f"killed by {signal.Signals(-process.returncode).name}"
    if process.returncode:
        return (errors.strip().splitlines() or ["no message"])[-1][:300]
    if not lines:
        return {}
    outcome = json.loads(lines[-1])
    return outcome | {"wall_s": wall_s, "result_s": outcome["done"] - start}


def _applies(case: Case, variant: Variant) -> bool:
    if variant.cold and case.measure != "result_s":
        return False
    return getattr(case, variant.simulator) is not None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--simulators", nargs="+", choices=VARIANTS)
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--quick", action="store_true", help="a tenth of the time, once, into out/")
    parser.add_argument("--out", type=Path, help="folder of results.json and RESULTS.md")
    args = parser.parse_args()
    args.repeats = args.repeats or (1 if args.quick else 3)
    args.out = args.out or (ROOT / "out" / "benchmarks" if args.quick else HERE)
    return args


if __name__ == "__main__":
    main()
