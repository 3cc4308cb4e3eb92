"""Reads ../shared/reference, the results of NEST 3.10.0 that every engine must reproduce."""

import json
from pathlib import Path

import numpy as np

import neurosim as ns

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "reference" / "nest"


def index(kind):
    """Return the cases of a kind ("neuron" or "network") whose model is built in."""
    if not FOLDER.is_dir():
        return {}
    cases = json.loads((FOLDER / "index.json").read_text())
    return {
        name: case
        for name, case in cases.items()
        if name.startswith(kind) and hasattr(ns.models, case["model"])
    }


def model_of(case, **values):
    """Return the model with the parameters of a case that it declares."""
    cls = getattr(ns.models, case["model"])
    given = {k: v for k, v in case["params"].items() if k in cls.parameters}
    return cls(**(given | values))


def neuron(case, data, method=None):
    """Return the network of a single-neuron case, and its cell."""
    net = ns.Network()
    model = model_of(case, method=method)
    initial = {k: v for k, v in case["params"].items() if k in model.states}
    cell = net.population(1, model, name="cell", **initial)
    times, ids = data["in_time"], data["in_source"].astype(int)
    sources = net.population(16, ns.models.spike_source(times=times, ids=ids), name="sources")
    pairs = ns.Explicit(np.arange(16), np.zeros(16, int))
    net.connect(sources, cell, pairs, weight=data["weight"], delay=data["delay"])
    return net, cell


def network(case, data, method=None):
    """Return the network of a network case, and its population."""
    net = ns.Network()
    model = model_of(case, I_e=data["I_e"], method=method)
    cells = net.population(data["V_m0"].size, model, name="cells", V_m=data["V_m0"])
    pairs = ns.Explicit(data["pre"].astype(int), data["post"].astype(int))
    net.connect(cells, cells, pairs, weight=data["weight"], delay=data["delay"])
    return net, cells


def load(name):
    """Return the arrays of a case."""
    with np.load(FOLDER / f"{name}.npz") as data:
        return dict(data)
