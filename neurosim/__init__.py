"""neurosim: event-driven simulation of networks of spiking and dendritic neurons.

Describe a network, run it, look at the spikes::

    import neurosim as ns

    net = ns.Network()
    exc = net.population(800, ns.models.iaf_psc_exp(I_e=ns.Uniform(300, 400)), name="exc")
    net.connect(exc, exc, ns.FixedProbability(0.02), weight=20.0, delay=1.5)
    results = ns.simulate(net, 1000.0, record=[ns.Spikes(exc)])
    results.spikes["exc"].plot()
"""

from __future__ import annotations

import importlib
from typing import Any

from neurosim import errors, models
from neurosim.models import NeuronModel, Refractory, param, state
from neurosim.network import (
    AllToAll,
    Explicit,
    Exponential,
    FixedIndegree,
    FixedOutdegree,
    FixedProbability,
    FixedTotalNumber,
    LogNormal,
    Network,
    NoiseCurrent,
    Normal,
    OneToOne,
    Spikes,
    State,
    StepCurrent,
    Uniform,
    Weights,
)

__version__ = "0.1.0"

#: Names that are imported on first use, so that ``import neurosim`` stays fast.
_LAZY = {
    "CPU": "neurosim.engines.cpu.options",
    "GPU": "neurosim.engines.gpu.options",
    "Reference": "neurosim.engines.reference.options",
    "Results": "neurosim.results",
    "Simulation": "neurosim.simulation",
    "SpikeTrains": "neurosim.results",
    "Traces": "neurosim.results",
    "simulate": "neurosim.simulation",
}
_MODULES = ("analysis", "bridge", "datasets", "io", "learning", "plot")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        try:
            return importlib.import_module(f"neurosim.{name}")
        except ModuleNotFoundError as error:
            if error.name == f"neurosim.{name}":
                raise AttributeError(f"module 'neurosim' has no attribute {name!r}") from None
            raise
    raise AttributeError(
        f"module 'neurosim' has no attribute {name!r}.{errors.near_name(name, __all__)}"
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, "analysis", "io", "plot"})


__all__ = [
    "CPU",
    "GPU",
    "AllToAll",
    "Explicit",
    "Exponential",
    "FixedIndegree",
    "FixedOutdegree",
    "FixedProbability",
    "FixedTotalNumber",
    "LogNormal",
    "Network",
    "NeuronModel",
    "NoiseCurrent",
    "Normal",
    "OneToOne",
    "Reference",
    "Refractory",
    "Results",
    "Simulation",
    "SpikeTrains",
    "Spikes",
    "State",
    "StepCurrent",
    "Traces",
    "Uniform",
    "Weights",
    "errors",
    "models",
    "param",
    "simulate",
    "state",
]
