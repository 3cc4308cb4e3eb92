"""Test and measure the GPU engine on a machine with an NVIDIA GPU, in less than ten minutes.

Usage: python benchmarks/gpu_session.py [--parts microcircuit fly_brain] [--seconds 570]

Each part runs in a process of its own with a time limit; what fails, or finds no time left, is
noted, and the others go on. Writes RESULTS-gpu.md and results-gpu.json. With --emulate, all parts
run at tiny sizes on the emulator of the tests, which needs g++ and no GPU: a test of this script.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from gpu import table  # noqa: E402
from gpu.parts import PARTS  # noqa: E402
from gpu.place import ROOT, Place, Row  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the session; return what was written as JSON."""
    args = _arguments(arguments)
    if args.worker:
        for row in PARTS[args.worker].run(Place(args.emulate)):
            print(json.dumps(row._asdict()), flush=True)
        return {}
    start = perf_counter()
    session: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), "emulated": args.emulate,
        "seconds": 0.0, "parts": {},
    }  # fmt: skip
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.parts:
        left = args.seconds - (perf_counter() - start)
        session["parts"][name] = part = run_part(name, args, left)
        session["seconds"] = perf_counter() - start
        print(f"{name:14} {part['seconds']:6.1f} s  {part['outcome']}", flush=True)
        (args.out / "results-gpu.json").write_text(json.dumps(session, indent=1) + "\n")
        (args.out / "RESULTS-gpu.md").write_text(table.render(session))
    print((args.out / "RESULTS-gpu.md").read_text())
    return session


def run_part(name: str, args: argparse.Namespace, left: float) -> dict[str, Any]:
    """Run a part with what is left of the time; return its rows and how it ended."""
    part, start = PARTS[name], perf_counter()
    title = (part.run.__doc__ or "").strip().splitlines()[0]
    if left < 5.0:
        return {"title": title, "outcome": "no time was left", "seconds": 0.0, "rows": []}
    if args.inline:
        rows, outcome = _inline(name, args.emulate)
    else:
        rows, outcome = _process(name, args.emulate, min(part.limit_s, left))
    return {
        "title": title, "outcome": outcome, "seconds": perf_counter() - start,
        "rows": [row._asdict() for row in rows],
    }  # fmt: skip


def _inline(name: str, emulated: bool) -> tuple[list[Row], str]:
    rows: list[Row] = []
    try:
        rows.extend(PARTS[name].run(Place(emulated)))
    except Exception as error:
        return rows, f"failed: {type(error).__name__}: {error}"[:400]
    return rows, "done"


def _process(name: str, emulated: bool, limit_s: float) -> tuple[list[Row], str]:
    """Run a part in a process; rows that it printed before it failed or was stopped count."""
    command = [sys.executable, str(HERE / "gpu_session.py"), "--worker", name]
    command += ["--emulate"] * emulated
    outcome = "done"
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdout=output, stderr=errors, cwd=ROOT, start_new_session=True
        )
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            outcome = f"stopped after {limit_s:.0f} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        errors.seek(0)
        lines = [line for line in output if line.startswith("{")]
        if outcome == "done" and process.returncode:
            last = errors.read().strip().splitlines() or [f"exit code {process.returncode}"]
            outcome = f"failed: {last[-1][:400]}"
    return [Row(**json.loads(line)) for line in lines], outcome


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=570.0, help="of the whole session")
    parser.add_argument("--emulate", action="store_true", help="tiny sizes, on the emulator")
    parser.add_argument("--inline", action="store_true", help="all parts in this process")
    parser.add_argument("--out", type=Path, help="folder of RESULTS-gpu.md and results-gpu.json")
    parser.add_argument("--worker", choices=PARTS, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    args.out = args.out or (ROOT / "out" / "gpu_session" if args.emulate else HERE)
    return args


if __name__ == "__main__":
    main()
