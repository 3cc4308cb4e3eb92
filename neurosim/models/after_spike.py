"""A check of parameters: after a spike a neuron must be below its threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosim.errors import ParameterError
from neurosim.expressions import Expression, evaluate, substitute, symbols
from neurosim.expressions.tree import Call, walk
from neurosim.models.spec import ModelSpec


def check_reset(spec: ModelSpec, values: Mapping[str, Any], what: str) -> None:
    """Refuse parameters with which every spike would be followed by another at once.

    NEST refuses ``V_reset >= V_th`` likewise. Only what parameters alone decide is checked: a
    reset that takes something away, or a threshold that adapts, depends on what came before.

    Parameters
    ----------
    spec : ModelSpec
    values : mapping of str to float or (n,) array
        Parameters in coherent units; those not known yet are left out.
    what : str
        Beginning of the message.

    Raises
    ------
    ParameterError
        If the reset of a neuron ends above its threshold.
    """
    test = _threshold_after_reset(spec)
    if test is None or not symbols(test) <= set(values):
        return
    again = np.atleast_1d(evaluate(test, values))
    if not again.any():
        return
    k = int(np.argmax(again))
    given = ", ".join(
        f"{name} = {np.broadcast_to(values[name], again.shape)[k] / unit.scale:g} "
        f"{spec.parameters[name].unit}"
        for name in sorted(symbols(test))
        for unit in [spec.parameters[name].parsed_unit]
    )
    which = f" (neuron {k}, {again.sum()} of {again.size})" if again.size > 1 else ""
    raise ParameterError(
        f"{what}: {given or 'any values'}{which}: the reset '{spec.text['reset'].strip()}' does "
        f"not end below the threshold '{spec.text['threshold'].strip()}', so each spike would be "
        "followed by another without end. Let the reset lead below the threshold."
    )


def _threshold_after_reset(spec: ModelSpec) -> Expression | None:
    """Return the threshold right after the reset; None where it looks back."""
    if spec.threshold is None:
        return None
    if any(isinstance(e, Call) and e.function == "previous" for e in walk(spec.threshold)):
        return None
    after: dict[str, Expression] = {}
    for statement in spec.reset:
        after[statement.target] = substitute(statement.result(), after)
    return substitute(spec.threshold, after)
