"""Network: the description of what is simulated."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from neurosim.errors import NetworkError, ParameterError, unknown_name
from neurosim.models.synapse import SynapseModel
from neurosim.network.checks import (
    finite_number,
    finite_values,
    name_of,
    unique_name,
    whole_number,
)
from neurosim.network.describe import summary, tables
from neurosim.network.explicit import Explicit
from neurosim.network.inputs import Injection, NoiseCurrent, PoissonInput, StepCurrent
from neurosim.network.population import Population, Target, overlap
from neurosim.network.projection import (
    Projection,
    checked_delay,
    checked_modulator_delay,
    checked_synapse,
    checked_weight,
    resolve_receptors,
    weight_unit,
)
from neurosim.network.rule import Rule
from neurosim.network.rules import checked_rule
from neurosim.network.segments import RECEPTOR, SegmentedCells, Segments
from neurosim.network.serial import fill_network, network_to_dict
from neurosim.network.tripartite import TripartiteConnections


class Network(TripartiteConnections, SegmentedCells):
    """Populations of neurons, projections between them, and input.

    Describing a network runs and allocates nothing; `neurosim.simulate` does.

    Attributes
    ----------
    populations, projections, inputs, injections, gaps, couplings : mapping of str to object
        What was added, by name, in the order of adding. Read only.

    Examples
    --------
    >>> import neurosim.models as models
    >>> net = Network()
    >>> exc = net.population(80, models.iaf_psc_exp(), name="exc")
    >>> net.connect(exc, exc, weight=20.0, delay=1.5).name
    'exc->exc'
    """

    def __init__(self) -> None:
        super().__init__()
        self._populations: dict[str, Population] = {}
        self._projections: dict[str, Projection] = {}
        self._inputs: dict[str, PoissonInput] = {}
        self._injections: dict[str, Injection] = {}
        self._segments: dict[str, Segments] = {}

    @property
    def populations(self) -> Mapping[str, Population]:
        """Populations by name."""
        return MappingProxyType(self._populations)

    @property
    def projections(self) -> Mapping[str, Projection]:
        """Projections by name."""
        return MappingProxyType(self._projections)

    @property
    def inputs(self) -> Mapping[str, PoissonInput]:
        """Poisson inputs by name."""
        return MappingProxyType(self._inputs)

    @property
    def injections(self) -> Mapping[str, Injection]:
        """Injected currents by name."""
        return MappingProxyType(self._injections)

    def population(self, n: int, model: Any, name: str | None = None, **initial: Any) -> Population:
        """Add a population.

        Parameters
        ----------
        n : int
            Number of members, at least 1.
        model : Model
            What they are, such as ``models.iaf_psc_exp(tau_m=20.0)``.
        name : str, optional
            Unique name; default: that of the model, numbered where needed.
        **initial
            Initial values of states in their units: a number, an array with one value a
            member, or a distribution.

        Returns
        -------
        Population

        Raises
        ------
        NetworkError
            If `n` is not at least 1, the name is taken, or a spike source's ids exceed `n`.
        ParameterError
            If an array has the wrong shape or an initial value is not finite.
        UnknownNameError
            If the model has no state of that name.
        """
        if not hasattr(model, "is_source") or isinstance(model, type):
            made = _how_to_make(model)
            raise NetworkError(
                f"population: model = {model!r}; an instance of a model is needed{made}."
            )
        name = unique_name(name, model.name, self._populations, "population")
        n = whole_number(n, f"population {name!r}: n", at_least=1)
        _check_member_values(model, n, name)
        values = {}
        for key, value in initial.items():
            if key not in model.states:
                raise unknown_name("state", key, model.states, model.name)
            what = f"population {name!r}: initial {key}"
            unit = getattr(model.states[key], "unit", None)
            values[key] = finite_values(value, what, size=n, each="neuron", unit=unit)
        population = Population(self, len(self._populations), n, model, name, values)
        self._populations[name] = population
        return population

    def connect(
        self,
        pre: Target,
        post: Target,
        rule: Rule | None = None,
        *,
        weight: Any = None,
        delay: Any = None,
        receptor: str | None = None,
        synapse: SynapseModel | None = None,
        name: str | None = None,
        round_delays: bool = False,
        modulator: Target | None = None,
        modulator_delay: float | None = None,
        axonal: float = 0.0,
        segment: ArrayLike | None = None,
    ) -> Projection:
        """Add synapses from `pre` to `post`.

        Parameters
        ----------
        pre, post : Population or PopulationView
            Sources and targets.
        rule : Rule, optional
            Which pairs are connected; default `AllToAll`.
        weight : float, array_like or Distribution, default 1.0
            Weight in the unit of the receptor; an array (one value a synapse) goes with
            `Explicit`, whose own weights are the default where it has them.
        delay : float, array_like or Distribution, default 1.0
            Time from spike to arrival [ms], > 0; otherwise like `weight`.
        receptor : str, optional
            Receptor of the target model. By default the sign of each weight chooses: ``exc`` for
            weights >= 0, ``inh`` for weights < 0; a model with one receptor takes both.
            ``"segment"`` means the dendritic segments of the target (see `segments`), for each of
            which the rule draws synapses.
        synapse : SynapseModel, optional
            Plastic synapses, such as ``ns.models.stdp()``; default: static ones. Their weights are
            magnitudes within the bounds of the rule; the sign, which chooses the receptor, stays.
        name : str, optional
            Unique name; default ``"<pre>-><post>"``, numbered where needed. The random draws of
            the projection depend on it.
        round_delays : bool, default False
            Round given delays to the nearest step instead of raising an error for a delay off
            the grid. Drawn delays are always rounded.
        modulator : Population or PopulationView, optional
            Whose spikes are the third factor of the rule (dopamine, for instance).
        modulator_delay : float, optional
            Time from a spike of the modulator to the synapses [ms]; default one step.
        axonal : float, default 0.0
            Share of the delay that is axonal, 0 to 1; the rest is dendritic. It shifts when a
            plastic synapse sees the two spikes, not when the target receives input. Above 0.5 all
            synapses need the same delay.
        segment : (n_synapses,) array_like of int, optional
            With `Explicit` and ``receptor="segment"``: on which segment of its cell each is.

        Returns
        -------
        Projection

        Raises
        ------
        NetworkError
            If a side belongs to another network, the target cannot receive synapses, the name
            is taken, or the rule cannot be met.
        DelayError
            If a delay is not positive.
        ParameterError
            If a weight or delay is not finite or has the wrong shape.
        UnknownNameError
            If the model has no such receptor.
        """
        where = f"connect({name_of(pre)} -> {name_of(post)})"
        self._check_target(pre, where)
        self._check_target(post, where)
        rule = checked_rule(rule, where)
        if receptor == RECEPTOR or segment is not None:
            post, rule = self._onto_segments(post, rule, segment, where)
            receptor = None
        receptors = resolve_receptors(post.model, receptor, where)
        checked_synapse(synapse, modulator, axonal, where)
        if modulator is not None:
            self._check_target(modulator, f"{where}: modulator")
        rule.check(pre.n, post.n, overlap(pre, post), where)
        if isinstance(rule, Explicit):
            weight = rule.weight if weight is None else weight
            delay = rule.delay if delay is None else delay
        projection = Projection(
            name=unique_name(name, f"{pre.name}->{post.name}", self._projections, "projection"),
            pre=pre,
            post=post,
            rule=rule,
            weight=checked_weight(
                1.0 if weight is None else weight,
                rule,
                where,
                unit=weight_unit(post.model, receptors),
            ),
            delay=checked_delay(1.0 if delay is None else delay, rule, where),
            receptor=receptor,
            synapse=synapse,
            round_delays=bool(round_delays),
            modulator=modulator,
            modulator_delay=checked_modulator_delay(modulator_delay, where),
            axonal=float(axonal),
        )
        self._projections[projection.name] = projection
        return projection

    def poisson_input(
        self,
        target: Target,
        rate: float,
        n: int = 1,
        weight: float = 1.0,
        receptor: str | None = None,
        name: str | None = None,
    ) -> PoissonInput:
        """Add Poisson spike trains that are independent for every target.

        Parameters
        ----------
        target : Population or PopulationView
            Who receives them.
        rate : float
            Rate of each train [Hz], >= 0.
        n : int, default 1
            Number of trains onto each target.
        weight : float, default 1.0
            Weight of every spike, in the unit of the receptor.
        receptor : str, optional
            Receptor; by default the sign of the weight chooses, as in `connect`.
        name : str, optional
            Unique name; default ``"poisson-><target>"``, numbered where needed.

        Returns
        -------
        PoissonInput

        Raises
        ------
        NetworkError, ParameterError, UnknownNameError
            As `connect`; also if the rate is negative.
        """
        where = f"poisson_input({name_of(target)})"
        self._check_target(target, where)
        receptors = resolve_receptors(target.model, receptor, where)
        unit = weight_unit(target.model, receptors)
        weight = finite_number(weight, f"{where}: weight", unit=unit)
        rate = finite_number(rate, f"{where}: rate", unit="Hz")
        if rate < 0:
            raise ParameterError(f"{where}: rate = {rate:g} Hz; a rate must be >= 0.")
        poisson = PoissonInput(
            name=unique_name(name, f"poisson->{target.name}", self._inputs, "input"),
            target=target,
            rate=rate,
            n=whole_number(n, f"{where}: n", at_least=0),
            weight=weight,
            receptor=receptors[weight < 0],
        )
        self._inputs[poisson.name] = poisson
        return poisson

    def inject(
        self,
        target: Target,
        current: StepCurrent | NoiseCurrent,
        parameter: str = "I_e",
        name: str | None = None,
    ) -> Injection:
        """Add a current to a parameter of every target.

        Parameters
        ----------
        target : Population or PopulationView
            Who receives it.
        current : StepCurrent or NoiseCurrent
            What is added to the parameter's value.
        parameter : str, default "I_e"
            Name of a parameter of the target's model.
        name : str, optional
            Unique name; default ``"current-><target>"``, numbered where needed.

        Returns
        -------
        Injection

        Raises
        ------
        NetworkError
            If the target belongs to another network or `current` is no current.
        UnknownNameError
            If the model has no such parameter.
        """
        where = f"inject({name_of(target)})"
        self._check_target(target, where)
        if not isinstance(current, StepCurrent | NoiseCurrent):
            raise NetworkError(
                f"{where}: current = {current!r}; StepCurrent(...) or NoiseCurrent(...) is needed."
            )
        if target.model.is_source:
            raise NetworkError(
                f"{where}: {target.model.name} is a spike source and takes no current; inject "
                "into a neuron population."
            )
        if parameter not in target.model.parameters:
            raise unknown_name(
                "parameter", parameter, target.model.parameters, f"{where}: {target.model.name}"
            )
        injection = Injection(
            name=unique_name(name, f"current->{target.name}", self._injections, "injection"),
            target=target,
            current=current,
            parameter=parameter,
        )
        self._injections[injection.name] = injection
        return injection

    def to_dict(self) -> dict[str, Any]:
        """Return the network as plain data: JSON values and NumPy arrays."""
        return network_to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Network:
        """Return the network that `to_dict` described."""
        network = cls()
        fill_network(network, data)
        return network

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle by the description; populations know their network, not one another's."""
        return Network.from_dict, (self.to_dict(),)

    def __repr__(self) -> str:
        return summary(self)

    def _repr_html_(self) -> str:
        """Return tables of populations and projections, for notebooks."""
        return tables(self)


def _how_to_make(model: Any) -> str:
    """Return what a user may have meant who gave a class, or a name, instead of a model."""
    if isinstance(model, type):
        return f"; try {model.__name__}()"
    if isinstance(model, str) and model.isidentifier():
        return f"; try neurosim.models.{model}()"
    return ", such as neurosim.models.iaf_psc_exp()"


def _check_member_values(model: Any, n: int, name: str) -> None:
    """Check that arrays of parameters hold one value a member, and spike ids name members."""
    for key in model.parameters:
        value = model.values[key]
        if isinstance(value, np.ndarray) and value.shape != (n,):
            raise ParameterError(
                f"{model.name}.{key} for population {name!r} has shape {value.shape}; give one "
                f"value, or one for each neuron, shape ({n},)."
            )
    ids = model.values.get("ids")  # of a spike_source
    if ids is not None and len(ids) and not 0 <= int(np.min(ids)) <= int(np.max(ids)) < n:
        wrong = ids[(ids < 0) | (ids >= n)][0]
        raise NetworkError(
            f"{model.name}.ids for population {name!r}: id {wrong} is out of range; ids are "
            f"0 ... {n - 1}. Make the population larger or drop the spike."
        )
