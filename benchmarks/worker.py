"""Run one case in one simulator and print one JSON line; started by run.py.

Each simulator has its own virtual environment, so this file imports a simulator only when asked.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

from cases import CASES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("simulator", choices=("neurosim", "nest", "brian2"))
    parser.add_argument("--threads", type=int, default=0, help="0: neurosim chooses")
    parser.add_argument("--precision", choices=("float32", "float64"), default="float64")
    parser.add_argument("--model-ms", type=float)
    parser.add_argument("--prepare", action="store_true", help="only write the files all need")
    args = parser.parse_args()
    case = CASES[args.case]
    if args.prepare:
        if case.prepare is not None:
            case.prepare()
        return
    model_ms = args.model_ms or case.duration(args.simulator)
    adapter = importlib.import_module(f"adapters.{args.simulator}_side")
    result = adapter.measure(
        case, threads=args.threads, precision=args.precision, model_ms=model_ms
    )
    seconds, sim_s = model_ms / 1e3, result["sim_s"]
    line = {
        "case": args.case,
        "simulator": args.simulator,
        "precision": args.precision,
        "threads": result.get("threads", args.threads),
        **result,
        "model_s": seconds,
        "rtf": sim_s / seconds,
        "rate_hz": result["spikes"] / case.neurons / seconds,
        "events_per_s": result["synaptic_events"] / sim_s,
        # Brian2: the larger of the describing process and the generated program.
        "peak_rss_mb": max(_peak_mb(), result.get("program_rss_mb", 0.0)),
    }
    line["done"] = time.time()
    print(json.dumps(line), file=sys.stdout, flush=True)


def _peak_mb() -> float:
    """Return this process's peak memory; getrusage would include the parent's before exec."""
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in status if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
