"""What is slow to import is imported when it is used."""

from __future__ import annotations

import subprocess
import sys

LAYERS = """
import sys
import torch
before = set(sys.modules)
from neurosim import bridge
net = bridge.Sequential(
    bridge.Conv2d(1, 2, 3, padding=1), torch.nn.Flatten(), bridge.Linear(18, 4),
    bridge.Recurrent(bridge.LIF(beta=0.9), bridge.DelayedLinear(4, 4, 3)), bridge.AdLIF(4),
    bridge.CubaLIF(alpha=0.5, beta=0.9), bridge.LI(beta=0.9),
)
net(torch.rand(5, 2, 1, 3, 3))[0].sum().backward()
bridge.fit, bridge.HebbianProjection
heavy = {"torch._dynamo", "torch._inductor", "sympy", "snntorch", "nir", "matplotlib"}
print(*sorted(heavy & (set(sys.modules) - before)))
"""


def test_layers_load_neither_the_compiler_of_torch_nor_other_libraries():
    run = subprocess.run([sys.executable, "-c", LAYERS], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
