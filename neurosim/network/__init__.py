"""Networks as descriptions: populations, projections, rules, distributions, input, recording."""

from neurosim.network.couplings import GapJunctions, SignalCoupling
from neurosim.network.distributions import (
    Distribution,
    Exponential,
    LogNormal,
    Normal,
    Uniform,
)
from neurosim.network.explicit import Explicit
from neurosim.network.inputs import Injection, NoiseCurrent, PoissonInput, StepCurrent
from neurosim.network.network import Network
from neurosim.network.population import Population, PopulationView
from neurosim.network.projection import Projection
from neurosim.network.records import Spikes, State, Weights
from neurosim.network.rule import Rule
from neurosim.network.rules import (
    AllToAll,
    FixedIndegree,
    FixedOutdegree,
    FixedProbability,
    FixedTotalNumber,
    OneToOne,
)
from neurosim.network.third_factor import ThirdFactor
from neurosim.network.tripartite import Tripartite

__all__ = [
    "AllToAll",
    "Distribution",
    "Explicit",
    "Exponential",
    "FixedIndegree",
    "FixedOutdegree",
    "FixedProbability",
    "FixedTotalNumber",
    "GapJunctions",
    "Injection",
    "LogNormal",
    "Network",
    "NoiseCurrent",
    "Normal",
    "OneToOne",
    "PoissonInput",
    "Population",
    "PopulationView",
    "Projection",
    "Rule",
    "SignalCoupling",
    "Spikes",
    "State",
    "StepCurrent",
    "ThirdFactor",
    "Tripartite",
    "Uniform",
    "Weights",
]
