"""Create the peers' virtual environments (`.venv-nest` and so on) in the project root.

Usage: python benchmarks/install_peers.py [nest] [brian2] [training]
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "nest": ["nest-simulator==3.10.*", "numpy", "scipy"],
    # Brian2 for Python 3.11 does not load with NumPy 2.4; setuptools and Cython serve its build.
    "brian2": ["brian2", "numpy<2.4", "setuptools", "cython"],
    "training": ["torch==2.13.0", "snntorch==1.0.0", "spikingjelly==2.0.0", "DCLS==0.1.1"],
}


def python_of(peer: str) -> Path:
    """Return the interpreter of a peer's environment."""
    return ROOT / f".venv-{peer}" / "bin" / "python"


def install(peer: str) -> None:
    """Create the environment of one peer, or bring an existing one up to date."""
    python = python_of(peer)
    if not python.exists():
        venv.create(python.parent.parent, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *PACKAGES[peer]], check=True)
    listing = subprocess.run([*pip[:3], "freeze"], check=True, capture_output=True, text=True)
    print(f"{peer}: {', '.join(listing.stdout.split())}")


if __name__ == "__main__":
    for name in sys.argv[1:] or PACKAGES:
        install(name)
