"""Gap junctions with numbers: a graph, and the exact flow of what its junctions exchange.

With V the coupled membrane potentials, c their capacitances and L the weighted Laplacian of the
graph, c dV/dt = -L V is part of every membrane equation. A step is split symmetrically (Strang
1968, SIAM J. Numer. Anal. 5:506): this part over dt/2, everything else over dt, this part over
dt/2. The flow of this part is the exact exponential, by a Chebyshev expansion that needs products
with L alone: no inner products, whose order would depend on threads, and no linear systems. It is
stable for any dt and conserves the charge sum(c V) up to rounding. Potentials that a refractory
period holds stand still; they drive their neighbours like a voltage source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import random
from neurosim.errors import ModelError, NetworkError, ParameterError
from neurosim.expressions import differentiate, dimension_of, evaluate, symbols
from neurosim.expressions.evaluate import exprel
from neurosim.lower.connectivity import Edges
from neurosim.lower.expand import expand
from neurosim.lower.model import LoweredModel
from neurosim.lower.pairs import pairs_of
from neurosim.models.spec import BUILT_IN
from neurosim.network.rules import AllToAll, FixedProbability
from neurosim.units import describe, parse_unit

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Models = Mapping[int, LoweredModel]
#: Terms of the expansion below this part of the largest are left out.
_TOLERANCE = 1e-14


@dataclass(frozen=True, eq=False)
class Membrane:
    """The membrane potential of some neurons of a population, and their nodes in the graph.

    Attributes
    ----------
    population : int
    state : str
    ids : (n,) int64
        Ascending; neuron ids[k] is node ``first + k``.
    first : int
    held : bool
        Whether the potential stands still in the refractory time.
    """

    population: int
    state: str
    ids: I64
    first: int
    held: bool

    def nodes(self, ids: I64) -> I64:
        """Return the nodes of some of its neurons."""
        return self.first + np.searchsorted(self.ids, ids)


@dataclass(frozen=True, eq=False)
class GapPlan:
    """All gap junctions of a network.

    Attributes
    ----------
    membranes : tuple of Membrane
    capacitance : (n_nodes,) float64
        Of each node [pF].
    first, partner, conductance : (n_nodes + 1,) int64, (2 n,) int64, (2 n,) float64
        The junctions of node i are ``first[i]`` up to ``first[i + 1]``; every junction is listed
        at both of its ends.
    largest : float
        Upper bound of the eigenvalues of L/c [1/ms] (Gershgorin).
    coefficients : (k,) float64
        Of the polynomials T_0, T_1, ... of 1 - 2 A/`largest`, with A = L/c: their sum is
        (exp(-A dt/2) - 1)/A.
    """

    membranes: tuple[Membrane, ...]
    capacitance: F64
    first: I64
    partner: I64
    conductance: F64
    largest: float
    coefficients: F64

    @property
    def populations(self) -> frozenset[int]:
        """The populations that are coupled."""
        return frozenset(m.population for m in self.membranes)


def lower_gaps(network: Any, models: Models, dt: float, connectivity_seed: int) -> GapPlan | None:
    """Return the graph of a network's gap junctions; None if there are none.

    Raises
    ------
    NeurosimError
        If a membrane is no membrane, a neuron is joined to itself, or a conductance is negative.
    """
    membranes = _membranes(network, models)
    if not membranes:
        return None
    position = {(m.population, m.state): m for m in membranes}
    rows, columns, conductances = [], [], []
    for junctions in network.gaps.values():
        a, b, g = _junctions(junctions, connectivity_seed)
        near = position[junctions.a.population.index, junctions.state].nodes(a)
        far = position[junctions.b.population.index, junctions.state].nodes(b)
        rows += [near, far]
        columns += [far, near]
        conductances += [g, g]
    row, column, conductance = (
        np.concatenate(rows), np.concatenate(columns), np.concatenate(conductances)
    )  # fmt: skip
    order = np.lexsort((column, row))
    row, column, conductance = row[order], column[order], conductance[order]
    capacitance = np.concatenate(
        [_capacitance(m, models[m.population], network) for m in membranes]
    )
    total = np.bincount(row, conductance, minlength=capacitance.size)
    largest = float((2.0 * total / capacitance).max())
    return GapPlan(
        membranes, capacitance, np.searchsorted(row, np.arange(capacitance.size + 1)), column,
        conductance, largest, expansion(largest, dt / 2),
    )  # fmt: skip


def expansion(largest: float, time: float) -> F64:
    """Return the Chebyshev coefficients of (exp(-a t) - 1)/a for 0 <= a <= `largest`.

    The argument of the polynomials is 1 - 2 a/largest.

    Examples
    --------
    >>> coefficients = expansion(3.0, 0.5)
    >>> x = 1.0 - 2.0 * 1.2 / 3.0
    >>> value = np.polynomial.chebyshev.chebval(x, coefficients)
    >>> bool(abs(value - (np.exp(-0.6) - 1.0) / 1.2) < 1e-15)
    True
    """
    theta = largest * time
    n = 32 + int(8.0 * np.sqrt(theta))
    angle = np.pi * (np.arange(n) + 0.5) / n
    values = -time * exprel(-0.5 * theta * (1.0 - np.cos(angle)))
    c = 2.0 / n * np.cos(np.outer(np.arange(n), angle)) @ values
    c[0] /= 2.0
    kept = np.flatnonzero(np.abs(c) > _TOLERANCE * np.abs(c).max())
    return c[: kept[-1] + 1]  # type: ignore[no-any-return]


def _membranes(network: Any, models: Models) -> tuple[Membrane, ...]:
    ids: dict[tuple[int, str], list[I64]] = {}
    for junctions in network.gaps.values():
        for side in (junctions.a, junctions.b):
            key = (side.population.index, junctions.state)
            ids.setdefault(key, []).append(side.ids)
    membranes, first = [], 0
    for (population, state), parts in sorted(ids.items(), key=lambda item: item[0]):
        members = np.unique(np.concatenate(parts))
        held = state in models[population].hold
        membranes.append(Membrane(population, state, members, first, held))
        first += members.size
    return tuple(membranes)


def _junctions(junctions: Any, connectivity_seed: int) -> tuple[I64, I64, F64]:
    """Return the two ends (ids) and the conductance of every junction, each once."""
    a, b = junctions.a.population, junctions.b.population
    key = random.stream_key(connectivity_seed, "gap junctions", a.name, b.name, junctions.name)
    spec = pairs_of(junctions, junctions.a, junctions.b, junctions.rule, junctions.g, 1.0, key)
    edges = expand(spec)
    what = f"gap junctions {junctions.name!r}"
    keep = edges.weight != 0.0
    if a is b:
        keep &= ~_counted_twice(junctions, edges)
        own = keep & (edges.pre == edges.post)
        if own.any():
            raise NetworkError(
                f"{what}: {int(own.sum())} of {len(edges)} join a neuron of {a.name!r} to itself "
                f"(first: {edges.pre[own][0]}), where no current can flow; leave them out."
            )
    if (edges.weight < 0).any():
        raise ParameterError(
            f"{what}: g = {edges.weight.min():g} nS is drawn; conductances must be >= 0. Limit the "
            "distribution, for instance with low=0 in Normal(...)."
        )
    return edges.pre[keep], edges.post[keep], edges.weight[keep]


def _counted_twice(junctions: Any, edges: Edges) -> NDArray[np.bool_]:
    """Return which pairs a rule for ordered pairs would have drawn in the other order as well."""
    if not isinstance(junctions.rule, AllToAll | FixedProbability):
        return np.zeros(len(edges), np.bool_)
    both = np.zeros(junctions.a.population.n, np.int64)
    both[junctions.a.ids] += 1
    both[junctions.b.ids] += 1
    shared = both == 2
    twice: NDArray[np.bool_] = shared[edges.pre] & shared[edges.post]
    return twice & (edges.pre >= edges.post)


def _capacitance(membrane: Membrane, model: LoweredModel, network: Any) -> F64:
    """Return the capacitances that follow from the factor of the current in the equation."""
    spec, state = model.spec, membrane.state
    where = f"gap junctions of {spec.name}"
    into, *others = sorted(
        {
            j.into
            for j in network.gaps.values()
            for side in (j.a, j.b)
            if j.state == state and side.population.index == membrane.population
        }
    )
    if others:
        raise NetworkError(
            f"{where}: currents enter {state} through {into} and through {others[0]}; give all "
            "gap junctions of a membrane the same into=."
        )
    slope = differentiate(spec.odes[state], into) if state in spec.odes else None
    if slope is None or not symbols(slope) <= set(spec.parameters):
        raise ModelError(
            f"{where}: the equation of {state} must be a differential equation with the term "
            f"{into}/C, where C is the membrane capacitance; name other ones with state= and into=."
        )
    units = {n: p.parsed_unit for n, p in spec.parameters.items()} | BUILT_IN
    dimension = dimension_of(slope, units)
    found = "1" if dimension is None else describe(dimension)
    if found != describe(parse_unit("1/pF").dimension):
        raise ModelError(
            f"{where}: d{state}/dt contains {into} times a factor in {found}; for a membrane "
            "potential in mV and a current in pA it must be 1/pF."
        )
    factor = np.broadcast_to(np.asarray(evaluate(slope, model.values), float), (model.n,))
    factor = factor[membrane.ids]
    if not (factor > 0).all():
        raise ModelError(f"{where}: {into} has the factor {factor.min():g}/pF in d{state}/dt.")
    return 1.0 / factor  # type: ignore[no-any-return]
