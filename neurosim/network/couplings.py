"""Continuous couplings: gap junctions, and signals that flow all the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from neurosim.errors import NetworkError, ParameterError, unknown_name
from neurosim.network.checks import Value, finite_number, finite_values, name_of, unique_name
from neurosim.network.distributions import Distribution
from neurosim.network.explicit import Explicit
from neurosim.network.population import Population, PopulationView, Target, overlap
from neurosim.network.projection import checked_delay, checked_weight
from neurosim.network.rule import Rule
from neurosim.network.rules import AllToAll, FixedProbability, checked_rule


@dataclass(frozen=True, kw_only=True, eq=False)
class GapJunctions:
    """Electrical synapses between membranes; made by `Network.gap_junctions`.

    Attributes
    ----------
    name : str
        Unique within the network.
    a, b : Population or PopulationView
        The two sides.
    rule : Rule
        Which pairs are joined.
    g : float, (n_junctions,) float64 or Distribution
        Conductance of each junction [nS], >= 0.
    state, into : str
        The membrane potential, and the parameter that a current into that membrane is added to.
    """

    name: str
    a: Target
    b: Target
    rule: Rule
    g: Value
    state: str
    into: str

    def __repr__(self) -> str:
        return f"GapJunctions({self.name!r}, {self.rule!r}, g={_short(self.g)})"


@dataclass(frozen=True, kw_only=True, eq=False)
class SignalCoupling:
    """A signal of one population that drives another; made by `Network.couple`.

    Attributes
    ----------
    name : str
        Unique within the network.
    pre, post : Population or PopulationView
        The two sides.
    rule : Rule
        Which pairs are connected.
    signal : str
        Expression of the states and parameters of `pre`.
    weight : float, (n_connections,) float64 or Distribution
        Factor of the signal.
    delay : float, (n_connections,) float64 or Distribution
        Time from a sample to its effect [ms].
    interval : float
        Time between samples [ms].
    parameter : str
        The parameter of the target's model to which the weighted signals are added.
    """

    name: str
    pre: Target
    post: Target
    rule: Rule
    signal: str
    weight: Value
    delay: Value
    interval: float
    parameter: str

    @property
    def target(self) -> Target:
        """Who receives the signal."""
        return self.post

    def __repr__(self) -> str:
        return (
            f"SignalCoupling({self.name!r}, {self.rule!r}, signal={self.signal!r}, "
            f"weight={_short(self.weight)}, interval={self.interval:g})"
        )


class Couplings:
    """The part of a `Network` that describes continuous couplings."""

    def __init__(self) -> None:
        self._gaps: dict[str, GapJunctions] = {}
        self._couplings: dict[str, SignalCoupling] = {}

    @property
    def gaps(self) -> Mapping[str, GapJunctions]:
        """Gap junctions by name."""
        return MappingProxyType(self._gaps)

    @property
    def couplings(self) -> Mapping[str, SignalCoupling]:
        """Continuous signals by name."""
        return MappingProxyType(self._couplings)

    def gap_junctions(
        self,
        a: Target,
        b: Target,
        rule: Rule | None = None,
        *,
        g: Any = None,
        state: str = "V_m",
        into: str = "I_e",
        name: str | None = None,
    ) -> GapJunctions:
        """Join membranes by gap junctions.

        Through a junction of conductance g flows the current g (V_j - V_i) into neuron i, and the
        same current out of neuron j.

        Parameters
        ----------
        a, b : Population or PopulationView
            The two sides; which is which does not matter.
        rule : Rule, optional
            Which pairs are joined; default `AllToAll`. Each pair that it draws is one junction
            and acts both ways. Where `a` and `b` share neurons, `AllToAll` and `FixedProbability`
            look at each pair once, whatever its order, and the other random rules need
            ``autapses=False``. Pairs drawn or listed more than once are parallel junctions.
        g : float, array_like or Distribution, default 1.0
            Conductance [nS], >= 0; an array (one value a junction) goes with `Explicit`, whose
            `weight` is the default where it has one.
        state : str, default "V_m"
            The membrane potential [mV]; such as ``"soma_V_m"`` for one of several compartments.
        into : str, default "I_e"
            The current [pA] that enters this membrane; from its factor in the equation of `state`
            follows the membrane capacitance.
        name : str, optional
            Unique name; default ``"<a><-><b>"``, numbered where needed. The random draws depend
            on it.

        Returns
        -------
        GapJunctions

        Raises
        ------
        NetworkError
            If a side belongs to another network or is a spike source, the name is taken, or the
            rule cannot be met or joins a neuron to itself.
        ParameterError
            If a conductance is negative, not finite or has the wrong shape.
        UnknownNameError
            If a model has no such state or parameter.

        Examples
        --------
        >>> import neurosim as ns
        >>> net = ns.Network()
        >>> cells = net.population(10, ns.models.iaf_psc_exp(), name="cells")
        >>> net.gap_junctions(cells, cells, ns.FixedProbability(0.3), g=0.5)
        GapJunctions('cells<->cells', FixedProbability(p=0.3, autapses=True), g=0.5)
        """
        where = f"gap_junctions({name_of(a)} <-> {name_of(b)})"
        for side in (a, b):
            self._check_target(side, where)
            _check_membrane(side.model, state, into, where)
        rule = _checked_rule(rule, a, b, where)
        if isinstance(rule, Explicit) and g is None:
            g = rule.weight
        if overlap(a, b) and getattr(rule, "autapses", False) and not _once(rule):
            raise NetworkError(
                f"{where}: {rule!r} would join neurons to themselves; write autapses=False."
            )
        junctions = GapJunctions(
            name=unique_name(name, f"{a.name}<->{b.name}", self._gaps, "gap junctions"),
            a=a, b=b, rule=rule, g=_checked_conductance(1.0 if g is None else g, rule, where),
            state=state, into=into,
        )  # fmt: skip
        self._gaps[junctions.name] = junctions
        return junctions

    def couple(
        self,
        pre: Target,
        post: Target,
        rule: Rule | None = None,
        *,
        signal: str,
        weight: Any = None,
        delay: Any = None,
        interval: float = 1.0,
        into: str = "I_e",
        name: str | None = None,
    ) -> SignalCoupling:
        """Let a continuous signal of one population drive another.

        The signal is sampled at 0, `interval`, 2 `interval`, ...; a sample of time t, times the
        weight, is added to the parameter of the target from t + delay on, until the next one
        arrives. What several connections bring adds up.

        Parameters
        ----------
        pre, post : Population or PopulationView
            Sources and targets.
        rule : Rule, optional
            Which pairs are connected; default `AllToAll`.
        signal : str
            Expression of the states and parameters of `pre`, in the language of equations, such
            as ``"0.1[nS]*(V_m - E_L)"``.
        weight : float, array_like or Distribution, default 1.0
            Factor of the signal. A signal without unit takes its unit from `into`.
        delay : float, array_like or Distribution, default 1.0
            Time from a sample to its effect [ms], a multiple of dt (drawn ones are rounded).
        interval : float, default 1.0
            Time between samples [ms], a multiple of dt.
        into : str, default "I_e"
            Parameter of the target's model that the weighted signals are added to.
        name : str, optional
            Unique name; default ``"<pre>~><post>"``, numbered where needed.

        Returns
        -------
        SignalCoupling

        Raises
        ------
        NetworkError
            If a side belongs to another network or is a spike source, the name is taken, or the
            rule cannot be met.
        ParameterError
            If a weight or the interval is not a finite number, or has the wrong shape.
        DelayError
            If a delay is not positive.
        UnknownNameError
            If the target's model has no such parameter.
        """
        where = f"couple({name_of(pre)} ~> {name_of(post)})"
        for side in (pre, post):
            self._check_target(side, where)
            _check_neurons(side.model, where)
        if into not in post.model.parameters:
            raise unknown_name(
                "parameter", into, post.model.parameters, f"{where}: {post.model.name}"
            )
        rule = _checked_rule(rule, pre, post, where)
        if isinstance(rule, Explicit):
            weight = rule.weight if weight is None else weight
            delay = rule.delay if delay is None else delay
        interval = finite_number(interval, f"{where}: interval", unit="ms")
        if interval <= 0:
            raise ParameterError(f"{where}: interval = {interval:g} ms; it must be > 0 ms.")
        if not isinstance(signal, str) or not signal.strip():
            raise ParameterError(f"{where}: signal = {signal!r}; an expression is needed, as text.")
        coupling = SignalCoupling(
            name=unique_name(name, f"{pre.name}~>{post.name}", self._couplings, "coupling"),
            pre=pre, post=post, rule=rule, signal=signal,
            weight=checked_weight(1.0 if weight is None else weight, rule, where),
            delay=checked_delay(1.0 if delay is None else delay, rule, where),
            interval=interval, parameter=into,
        )  # fmt: skip
        self._couplings[coupling.name] = coupling
        return coupling

    def _check_target(self: Any, target: Any, where: str) -> None:
        """Refuse what is no population of this network."""
        if not isinstance(target, Population | PopulationView):
            raise NetworkError(
                f"{where}: a population or a view of one is needed, not {type(target).__name__}."
            )
        if not target.population.belongs_to(self):
            raise NetworkError(
                f"{where}: population {target.name!r} belongs to another network; use populations "
                "of this one."
            )


def _checked_rule(rule: Rule | None, pre: Target, post: Target, where: str) -> Rule:
    rule = checked_rule(rule, where)
    rule.check(pre.n, post.n, overlap(pre, post), where)
    return rule


def _once(rule: Rule) -> bool:
    """Whether a rule looks at every pair on its own, so that it can skip half of them."""
    return isinstance(rule, AllToAll | FixedProbability)


def _check_neurons(model: Any, where: str) -> None:
    if model.is_source:
        raise NetworkError(
            f"{where}: {model.name} is a spike source and has no states; both sides must be "
            "neuron populations."
        )


def _check_membrane(model: Any, state: str, into: str, where: str) -> None:
    _check_neurons(model, where)
    if state not in model.states:
        raise unknown_name("state", state, model.states, f"{where}: {model.name}")
    if into not in model.parameters:
        raise unknown_name("parameter", into, model.parameters, f"{where}: {model.name}")


def _checked_conductance(g: Any, rule: Rule, where: str) -> Value:
    what = f"{where}: g"
    if isinstance(rule, Explicit):
        g = finite_values(g, what, size=rule.pre.size, each="junction", unit="nS")
    elif not isinstance(g, Distribution):
        g = finite_number(g, what, unit="nS")
    low = g.support[1] if isinstance(g, Distribution) else np.min(g, initial=0.0)
    if low < 0:
        raise ParameterError(f"{what} = {low:g} nS; a conductance must be >= 0.")
    return g  # type: ignore[no-any-return]


def _short(value: Value) -> str:
    return f"<{value.size} values>" if isinstance(value, np.ndarray) else repr(value)
