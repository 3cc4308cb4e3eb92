"""Built-in models, with NEST's names, and what is needed to declare one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurosim.models.aeif import aeif_cond_alpha, aeif_cond_exp, aeif_psc_exp
from neurosim.models.alif import alif_psc_exp
from neurosim.models.base import Model, NeuronModel, neuron_model_from_declaration
from neurosim.models.declare import Parameter, Refractory, State, param, state
from neurosim.models.glif_psc import (
    glif1_psc,
    glif2_psc,
    glif3_psc,
    glif4_psc,
    glif5_psc,
    glif_psc,
)
from neurosim.models.hodgkin_huxley import hh_cond_exp_traub, hh_psc_alpha
from neurosim.models.iaf_cond_alpha import iaf_cond_alpha
from neurosim.models.iaf_cond_exp import iaf_cond_exp
from neurosim.models.iaf_psc_alpha import iaf_psc_alpha
from neurosim.models.iaf_psc_delta import iaf_psc_delta
from neurosim.models.iaf_psc_exp import iaf_psc_exp
from neurosim.models.izhikevich import izhikevich
from neurosim.models.mat2_psc_exp import mat2_psc_exp
from neurosim.models.sources import inhomogeneous_poisson, parrot, poisson, spike_source

_SOURCES: dict[str, type[Model]] = {
    m.__name__: m for m in (poisson, inhomogeneous_poisson, spike_source, parrot)
}


def model_from_dict(data: Mapping[str, Any]) -> Model:
    """Return the model that `Model.to_dict` described."""
    if "declaration" in data:
        cls = neuron_model_from_declaration(data["name"], data["declaration"])
        return cls(method=data["method"], **data["values"])
    return _SOURCES[data["name"]](**data["values"])


__all__ = [
    "Model",
    "NeuronModel",
    "Parameter",
    "Refractory",
    "State",
    "aeif_cond_alpha",
    "aeif_cond_exp",
    "aeif_psc_exp",
    "alif_psc_exp",
    "glif1_psc",
    "glif2_psc",
    "glif3_psc",
    "glif4_psc",
    "glif5_psc",
    "glif_psc",
    "hh_cond_exp_traub",
    "hh_psc_alpha",
    "iaf_cond_alpha",
    "iaf_cond_exp",
    "iaf_psc_alpha",
    "iaf_psc_delta",
    "iaf_psc_exp",
    "inhomogeneous_poisson",
    "izhikevich",
    "mat2_psc_exp",
    "model_from_dict",
    "param",
    "parrot",
    "poisson",
    "spike_source",
    "state",
]
