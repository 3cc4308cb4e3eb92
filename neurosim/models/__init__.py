"""Built-in models, with NEST's names, and what is needed to declare one's own."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from neurosim import errors
from neurosim.models.aeif import aeif_cond_alpha, aeif_cond_exp, aeif_psc_exp
from neurosim.models.alif import alif_psc_exp
from neurosim.models.base import Model, NeuronModel, neuron_model_from_declaration
from neurosim.models.cable import cable, cylinder
from neurosim.models.compartments import (
    Compartment,
    CompartmentalModel,
    Coupling,
    SpikeMechanism,
    compartmental,
)
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
from neurosim.models.iaf_cond_alpha_mc import iaf_cond_alpha_mc
from neurosim.models.iaf_cond_exp import iaf_cond_exp
from neurosim.models.iaf_psc_alpha import iaf_psc_alpha
from neurosim.models.iaf_psc_delta import iaf_psc_delta
from neurosim.models.iaf_psc_exp import iaf_psc_exp
from neurosim.models.izhikevich import izhikevich
from neurosim.models.mat2_psc_exp import mat2_psc_exp
from neurosim.models.mechanisms import (
    Mechanism,
    adaptation,
    conductance_synapse,
    current_synapse,
    nmda_synapse,
    sodium_spike,
    spike_upstroke,
)
from neurosim.models.plasticity import (
    bernoulli_synapse,
    clopath,
    homeostatic_scaling,
    jonke,
    stdp,
    stdp_dopamine,
    stdp_nn_pre_centered,
    stdp_nn_restr,
    stdp_nn_symm,
    stdp_pl,
    stdp_triplet,
    tsodyks2,
    urbanczik,
    vogels_sprekeler,
    weight_normalization,
)
from neurosim.models.pyramidal_ca import pyramidal_ca
from neurosim.models.segment import iaf_psc_exp_dendrite, segment
from neurosim.models.sources import inhomogeneous_poisson, parrot, poisson, spike_source
from neurosim.models.synapse import SynapseModel, synapse_from_declaration

_SOURCES: dict[str, type[Model]] = {
    m.__name__: m for m in (poisson, inhomogeneous_poisson, spike_source, parrot)
}

#: Models whose many equations are read on first use, so that ``import neurosim`` stays fast, and
#: their modules. None has its module's name: importing that would put the module in its place.
_LAZY = {
    "astrocyte_lr_1994": "astrocyte",
    "hh_psc_alpha_gap": "fast_spiking",
    "aeif_psc_delta_clopath": "clopath_neurons",
    "hh_psc_alpha_clopath": "clopath_neurons",
    "iaf_cond_exp_adaptive": "adaptive_threshold",
    "iaf_psc_exp_nonlineardendrite": "nonlinear_dendrite",
    "lif_dendrite": "dendritic_lif",
    "lif_dendrite_na": "dendritic_lif",
    "lif_two_dendrites": "dendritic_lif",
    "pp_cond_exp_mc_urbanczik": "urbanczik_neuron",
    "quantal_stp": "plasticity.quantal",
    "stdp_rewiring": "plasticity.structural",
    "stdsp": "plasticity.structural",
    "stdsp_homeostasis": "plasticity.structural",
    "tripod": "tripod_neurons",
    "tripod_mouse": "tripod_neurons",
}

#: What people who know NEST may look for.
_NEST_NAMES = {
    "poisson_generator": "poisson",
    "inhomogeneous_poisson_generator": "inhomogeneous_poisson",
    "spike_generator": "spike_source",
    "parrot_neuron": "parrot",
    "stdp_synapse": "stdp",
    "stdp_dopamine_synapse": "stdp_dopamine",
    "tsodyks2_synapse": "tsodyks2",
    "clopath_synapse": "clopath",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        hint = errors.near_name(name, __all__)
        if name in _NEST_NAMES:
            hint = f" NEST's {name} is called {_NEST_NAMES[name]!r} here."
        raise AttributeError(f"module 'neurosim.models' has no attribute {name!r}.{hint}")
    value = getattr(importlib.import_module(f"neurosim.models.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


def model_from_dict(data: Mapping[str, Any]) -> Model:
    """Return the model that `Model.to_dict` described."""
    if "declaration" in data:
        cls = neuron_model_from_declaration(data["name"], data["declaration"])
        return cls(method=data["method"], **data["values"])
    return _SOURCES[data["name"]](**data["values"])


def synapse_from_dict(data: Mapping[str, Any]) -> SynapseModel:
    """Return the plastic synapse that `SynapseModel.to_dict` described."""
    return synapse_from_declaration(data["name"], data["synapse"])(**data["values"])


__all__ = [
    "Compartment",
    "CompartmentalModel",
    "Coupling",
    "Mechanism",
    "Model",
    "NeuronModel",
    "Parameter",
    "Refractory",
    "SpikeMechanism",
    "State",
    "SynapseModel",
    "adaptation",
    "aeif_cond_alpha",
    "aeif_cond_exp",
    "aeif_psc_delta_clopath",
    "aeif_psc_exp",
    "alif_psc_exp",
    "astrocyte_lr_1994",
    "bernoulli_synapse",
    "cable",
    "clopath",
    "compartmental",
    "conductance_synapse",
    "current_synapse",
    "cylinder",
    "glif1_psc",
    "glif2_psc",
    "glif3_psc",
    "glif4_psc",
    "glif5_psc",
    "glif_psc",
    "hh_cond_exp_traub",
    "hh_psc_alpha",
    "hh_psc_alpha_gap",
    "hh_psc_alpha_clopath",
    "homeostatic_scaling",
    "iaf_cond_alpha",
    "iaf_cond_alpha_mc",
    "iaf_cond_exp",
    "iaf_cond_exp_adaptive",
    "iaf_psc_alpha",
    "iaf_psc_delta",
    "iaf_psc_exp",
    "iaf_psc_exp_dendrite",
    "iaf_psc_exp_nonlineardendrite",
    "inhomogeneous_poisson",
    "izhikevich",
    "jonke",
    "lif_dendrite",
    "lif_dendrite_na",
    "lif_two_dendrites",
    "mat2_psc_exp",
    "model_from_dict",
    "nmda_synapse",
    "param",
    "parrot",
    "poisson",
    "pp_cond_exp_mc_urbanczik",
    "pyramidal_ca",
    "quantal_stp",
    "segment",
    "sodium_spike",
    "spike_source",
    "spike_upstroke",
    "state",
    "stdp",
    "stdp_dopamine",
    "stdp_nn_pre_centered",
    "stdp_nn_restr",
    "stdp_nn_symm",
    "stdp_pl",
    "stdp_triplet",
    "stdp_rewiring",
    "stdsp",
    "stdsp_homeostasis",
    "synapse_from_dict",
    "tripod",
    "tripod_mouse",
    "tsodyks2",
    "urbanczik",
    "vogels_sprekeler",
    "weight_normalization",
]
