"""Layers for PyTorch: spiking neurons with fused kernels, sparse connections, delays, training.

Every layer maps a sequence ``x [T, B, ...]`` and a state to ``(out, state)``::

    import torch
    from neurosim import bridge

    net = bridge.Sequential(
        bridge.Linear(700, 256), bridge.LIF(beta=0.9), bridge.Linear(256, 20), bridge.LI(beta=0.9)
    )
    out, states = net(torch.rand(100, 32, 700))
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

if "torch" not in sys.modules:
    # PyTorch's threads wait for work in a busy loop, by default for milliseconds, which takes the
    # core from the threads of the kernels here; a tenth of a millisecond serves both. Libgomp reads
    # this once, when it is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

#: Public names and the modules that define them, imported on first use.
_LAZY: dict[str, str] = {
    # neurons
    "ALIF": "neurosim.bridge.neurons",
    "AdLIF": "neurosim.bridge.neurons",
    "AlphaLIF": "neurosim.bridge.neurons",
    "AstroLIF": "neurosim.bridge.neurons",
    "CubaLIF": "neurosim.bridge.neurons",
    "DendriticLIF": "neurosim.bridge.neurons",
    "LI": "neurosim.bridge.neurons",
    "LIF": "neurosim.bridge.neurons",
    "Lapicque": "neurosim.bridge.neurons",
    "ModelNeuron": "neurosim.bridge.neurons.model_neuron",
    "Neuron": "neurosim.bridge.neurons",
    "Recurrent": "neurosim.bridge.neurons",
    "reset": "neurosim.bridge.neurons",
    "empty_cache": "neurosim.bridge.kernels.buffers",
    # containers
    "Graph": "neurosim.bridge.graph",
    "Sequential": "neurosim.bridge.container",
    # events and connections
    "Conv1d": "neurosim.bridge.connections",
    "Conv2d": "neurosim.bridge.connections",
    "DelayedLinear": "neurosim.bridge.connections",
    "EventBatch": "neurosim.bridge.events",
    "Linear": "neurosim.bridge.connections",
    "SigmaSchedule": "neurosim.bridge.connections",
    "Sparse": "neurosim.bridge.connections",
    "SET": "neurosim.bridge.connections",
    "RigL": "neurosim.bridge.connections",
    "DeepR": "neurosim.bridge.connections",
    "SpikeEvents": "neurosim.bridge.events",
    "clamp_after_step": "neurosim.bridge.connections",
    "clamp_delays_": "neurosim.bridge.connections",
    "density": "neurosim.bridge.events",
    "evaluate_rounded": "neurosim.bridge.connections",
    "events_of": "neurosim.bridge.events",
    "round_delays_": "neurosim.bridge.connections",
    # training
    "ArrayBatches": "neurosim.bridge.training",
    "Callback": "neurosim.bridge.training",
    "Constant": "neurosim.bridge.training",
    "Cosine": "neurosim.bridge.training",
    "CsvLog": "neurosim.bridge.training",
    "DelayRegulariser": "neurosim.bridge.training",
    "EarlyStopping": "neurosim.bridge.training",
    "Evaluation": "neurosim.bridge.training",
    "Exponential": "neurosim.bridge.training",
    "History": "neurosim.bridge.training",
    "KINDS": "neurosim.bridge.training",
    "LOSSES": "neurosim.bridge.training",
    "Loss": "neurosim.bridge.training",
    "OneCycle": "neurosim.bridge.training",
    "Progress": "neurosim.bridge.training",
    "RateRegulariser": "neurosim.bridge.training",
    "Regulariser": "neurosim.bridge.training",
    "Schedule": "neurosim.bridge.training",
    "SpikeMonitor": "neurosim.bridge.training",
    "TensorBoardLog": "neurosim.bridge.training",
    "Trainer": "neurosim.bridge.training",
    "TrainingInterrupted": "neurosim.bridge.training",
    "TrainingWarning": "neurosim.bridge.training",
    "Watch": "neurosim.bridge.training",
    "accuracy": "neurosim.bridge.training",
    "capture_rng": "neurosim.bridge.training",
    "check_classes": "neurosim.bridge.training",
    "count_loss": "neurosim.bridge.training",
    "count_spikes": "neurosim.bridge.training",
    "evaluate": "neurosim.bridge.training",
    "fit": "neurosim.bridge.training",
    "fluctuation_driven_": "neurosim.bridge.training",
    "fluctuation_driven_std": "neurosim.bridge.training",
    "initialise_rates_": "neurosim.bridge.training",
    "load_checkpoint": "neurosim.bridge.training",
    "membrane_kernel": "neurosim.bridge.training",
    "membrane_last_loss": "neurosim.bridge.training",
    "membrane_max_loss": "neurosim.bridge.training",
    "membrane_mean_loss": "neurosim.bridge.training",
    "membrane_sum_loss": "neurosim.bridge.training",
    "parameter_groups": "neurosim.bridge.training",
    "parameter_kinds": "neurosim.bridge.training",
    "rate_loss": "neurosim.bridge.training",
    "read_checkpoint": "neurosim.bridge.training",
    "restore_rng": "neurosim.bridge.training",
    "save_checkpoint": "neurosim.bridge.training",
    "seeded": "neurosim.bridge.training",
    "spiking_layers": "neurosim.bridge.training",
    # snnTorch and NIR
    "EachStep": "neurosim.bridge.snntorch",
    "MembraneOutput": "neurosim.bridge.snntorch",
    "SnnTorchNeuron": "neurosim.bridge.snntorch",
    "from_nir": "neurosim.bridge.nir",
    "from_snntorch": "neurosim.bridge.snntorch",
    "load_nir": "neurosim.bridge.nir",
    "save_nir": "neurosim.bridge.nir",
    "to_nir": "neurosim.bridge.nir",
    "to_snntorch": "neurosim.bridge.snntorch",
    # into the event engine
    "Conversion": "neurosim.bridge.convert",
    "ConvertedRun": "neurosim.bridge.convert",
    "to_network": "neurosim.bridge.convert",
    # continual learning
    "ActiveDendrites": "neurosim.bridge.connections.segments",
    "DSRLIF": "neurosim.bridge.continual",
    "Feedback": "neurosim.bridge.continual",
    "HebbianProjection": "neurosim.bridge.continual",
    "KWinners": "neurosim.bridge.connections.kwinners",
    "OTTT": "neurosim.bridge.continual",
    "OjaSubspace": "neurosim.bridge.continual",
    "Prototypes": "neurosim.bridge.connections.contexts",
    "average_accuracy": "neurosim.bridge.continual",
    "backward_transfer": "neurosim.bridge.continual",
    "one_hot_context": "neurosim.bridge.connections.contexts",
    "use_context": "neurosim.bridge.connections.segments",
    "weighted_rate": "neurosim.bridge.continual",
}
#: Submodules reachable as attributes.
_MODULES: tuple[str, ...] = (
    "connections",
    "continual",
    "convert",
    "events",
    "kernels",
    "neurons",
    "surrogate",
    "training",
)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"neurosim.bridge.{name}")
    raise AttributeError(
        f"module 'neurosim.bridge' has no attribute {name!r}", name=name, obj=sys.modules[__name__]
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_MODULES})


__all__ = [*sorted(_LAZY), *_MODULES]
