"""What changes in a synapse between events: integrals of products of decaying traces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurosim.errors import ModelError
from neurosim.expressions import Expression, Symbol, evaluate, symbols
from neurosim.expressions.tree import Number, Operation
from neurosim.models.synapse_spec import SynapseSpec


@dataclass(frozen=True)
class Term:
    """A product of decaying traces in a right-hand side: factor times their product."""

    factor: float
    traces: tuple[str, ...]


@dataclass(frozen=True)
class Evolution:
    """A state with ``ds/dt = -rate s + sum of terms``."""

    name: str
    rate: float
    terms: tuple[Term, ...]


def evolution_of(
    name: str,
    rhs: Expression,
    spec: SynapseSpec,
    values: Mapping[str, float],
    decaying: set[str],
    where: str,
) -> Evolution:
    """Return a state of the synapses as the integral of a sum of products.

    Raises
    ------
    ModelError
        If its right-hand side is something else, or it grows by itself.
    """
    states = {s for s in spec.odes if s != name}
    products = _expand(rhs)
    rate, terms = 0.0, []
    for product in products:
        constants, names = [], []
        for factor in product:
            free = symbols(factor) - set(values)
            if not free:
                constants.append(float(evaluate(factor, values)))
            elif isinstance(factor, Symbol) and (factor.name in decaying or factor.name in
                                                 ({name} | states)):  # fmt: skip
                names.append(factor.name)
            else:
                raise ModelError(
                    f"{where}: d{name}/dt must be a sum of products of decaying traces and "
                    f"states, but holds {', '.join(sorted(free))} in another form."
                )
        scale = float(np.prod(constants)) if constants else 1.0
        if names == [name]:
            rate -= scale
        elif name in names:
            raise ModelError(f"{where}: d{name}/dt has a product with {name} itself.")
        elif scale != 0.0:
            terms.append(Term(scale, tuple(names)))
    if rate < 0:
        raise ModelError(f"{where}: {name} grows by itself (rate {-rate:g} per ms).")
    return Evolution(name, rate, tuple(terms))


def _expand(expression: Expression) -> list[list[Expression]]:
    """Return a sum of products: a list of lists of factors."""
    match expression:
        case Operation(op="+", args=(a, b)):
            return _expand(a) + _expand(b)
        case Operation(op="-", args=(a, b)):
            return _expand(a) + [[Number(-1.0), *p] for p in _expand(b)]
        case Operation(op="neg", args=(a,)):
            return [[Number(-1.0), *p] for p in _expand(a)]
        case Operation(op="*", args=(a, b)):
            return [[*p, *q] for p in _expand(a) for q in _expand(b)]
        case Operation(op="/", args=(a, b)):
            return [[*p, Operation("/", (Number(1.0), b))] for p in _expand(a)]
    return [[expression]]


def check_products(evolutions: tuple[Evolution, ...], where: str) -> None:
    """Check that what enters a product decays by itself."""
    driven = {e.name for e in evolutions if e.terms}
    for e in evolutions:
        for term in e.terms:
            for name in term.traces:
                if name in driven:
                    raise ModelError(
                        f"{where}: d{e.name}/dt uses {name}, which is driven by others itself; "
                        "only states that decay (dc/dt = -c/tau) have a closed form here."
                    )
