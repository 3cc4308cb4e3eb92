"""Plastic synapses against NEST, and engines against each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plastic_cases import sent_weights

import neurosim as ns

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "nest"
CASES = {
    "synapse_stdp_synapse": (ns.models.stdp, {"lambda": "lambda_"}),
    "synapse_stdp_synapse_add": (ns.models.stdp, {"lambda": "lambda_"}),
    "synapse_stdp_nn_symm_synapse": (ns.models.stdp_nn_symm, {"lambda": "lambda_"}),
    "synapse_stdp_triplet_synapse": (ns.models.stdp_triplet, {}),
    "synapse_vogels_sprekeler_synapse": (ns.models.vogels_sprekeler, {}),
    "synapse_tsodyks2_synapse": (ns.models.tsodyks2, {}),
    "synapse_tsodyks2_fac": (ns.models.tsodyks2, {}),
}
#: NEST counts the start as a spike of the source, and begins with u = 0.5 whatever U is.
NEST_STARTS = {
    "synapse_stdp_nn_symm_synapse": {"K_plus": 1.0},
    "synapse_tsodyks2_fac": {"u_first": 0.5},
}
ENGINES = {
    "reference": "reference",
    "clock": ns.CPU(threads=1, strategy="clock"),
    "auto, 2 threads": ns.CPU(threads=2),
}


def assert_like_nest(case: str, engine: Any) -> None:
    """Compare each weight that a presynaptic spike carried, within 1e-9."""
    path = REFERENCE / f"{case}.npz"
    if not path.exists():
        pytest.skip("the reference results of NEST are not here (../shared/reference)")
    info = json.loads((REFERENCE / "index.json").read_text())[case]
    data = np.load(path)
    rule, names = CASES[case]
    values = {names.get(k, k): v for k, v in info["set_params"].items()}
    if "tau_minus" in rule.parameters:
        values["tau_minus"] = info["tau_minus"]
    if "tau_minus_triplet" in rule.parameters:
        values["tau_minus_triplet"] = 110.0
    pre = data["pre"]
    values |= NEST_STARTS.get(case, {})
    sent = sent_weights(
        rule(**values), pre, data["post"], weight=info["w0"], delay=info["delay"],
        stop=info["t_stop"], engine=engine,
    )  # fmt: skip
    at = np.searchsorted(pre, data["weight_time"] - 1e-6)
    np.testing.assert_allclose(sent[at], data["weight"], rtol=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", CASES)
def test_nest(case: str, engine: str) -> None:
    """All weights, in every engine."""
    assert_like_nest(case, ENGINES[engine])
