"""SynapseModel: the base class of every plastic synapse, built-in or written by the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from neurosim.errors import ModelError, ParameterError
from neurosim.models.base import Model, declarations
from neurosim.models.declare import Parameter, State
from neurosim.models.synapse_spec import EVENTS, LEVELS, SynapseSpec, SynapseSpecBuilder

_TEXTS = (
    "equations", *LEVELS, *EVENTS, "post_event", "transmit", "bounds", "interval", "prune",
    "regrow",
)  # fmt: skip


class SynapseModel(Model):
    """A plastic synapse as data: traces, what happens at spikes, and the bounds of the weight.

    Subclass it, declare parameters with `param`, and write what the rule needs of

    ``presynaptic``, ``postsynaptic``, ``modulator``
        Traces that all synapses of a source, of a target, or all synapses share:
        ``"dx/dt = -x/tau : 1"``.
    ``equations``
        States of every single synapse that change between events (also ``dw/dt``); states that do
        not are declared with `state`.
    ``on_pre``, ``on_post``, ``on_modulator``, ``on_interval``
        Statements, run in their order, when a spike of the source, of the target or of the
        modulator reaches the synapse, and every so many ms (``interval`` names the parameter).
    ``prune``, ``regrow``
        A condition, tested at every interval, under which a synapse is taken away, and the weight
        of the one from another source that its target gets instead.
    ``transmit``
        What reaches the target; default the weight ``w`` after `on_pre`.
    ``bounds``
        Smallest and largest weight, default ``("0", "inf")``; ``w`` is limited to them whenever it
        is assigned.
    ``post_event``
        A condition such as ``"V_m_post > theta"`` that is tested in every step and takes the place
        of the target's spikes.

    ``w`` is the magnitude of the weight, in the unit that the receptor takes; its sign, which
    chooses the receptor, never changes. ``V_m_post`` is the state ``V_m`` of the target, at the
    time at which what reaches the synapse left it; ``w_total`` (in `on_interval`) the sum of the
    weights of all synapses of the projection onto the same target; ``random`` a uniform random
    number in (0, 1), another one wherever it is written.

    Time of events: the delay of a synapse is dendritic, as in NEST: spikes of the source reach
    the synapse at once, those of the target after the delay. Of simultaneous events the target's
    come first, then the modulator's, then the source's; a trace read at an event does not contain
    the jump of a simultaneous one.

    Parameters
    ----------
    **values
        Parameter values in the declared units, and initial values of states and traces.

    Raises
    ------
    ModelError
        When the class is made, for a text that is wrong.
    ParameterError
        For a value out of bounds, not finite, or not a single number.

    Examples
    --------
    >>> from neurosim.models import param
    >>> class pair(SynapseModel):
    ...     tau = param(20.0, "ms", gt=0)
    ...     A = param(0.1, "1")
    ...     presynaptic = "dx/dt = -x/tau : 1"
    ...     postsynaptic = "dy/dt = -y/tau : 1"
    ...     on_pre = "w -= A*y; x += 1"
    ...     on_post = "w += A*x; y += 1"
    >>> pair(A=0.2)
    pair(A=0.2)
    """

    spec: ClassVar[SynapseSpec]
    bounds: ClassVar[tuple[str, str]] = ("0", "inf")
    transmit: ClassVar[str] = "w"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        text = declarations(cls, _TEXTS)
        bounds = text["bounds"]
        text["bounds"] = tuple("1e300" if str(b) == "inf" else str(b) for b in bounds)
        cls.spec = SynapseSpecBuilder(cls.__name__, text).build()
        cls.parameters = dict(cls.spec.parameters)
        cls.states = dict(cls.spec.states)

    def __init__(self, **values: Any) -> None:
        if not hasattr(self, "spec"):
            raise ModelError(
                "SynapseModel is a base class; subclass it with traces and statements."
            )
        initial = {n: values.pop(n) for n in self.spec.init if n in values}
        super().__init__(**values)
        self.initial = {n: _initial_value(self.name, n, v) for n, v in initial.items()}
        for name, value in self.values.items():
            if np.ndim(value) or hasattr(value, "draw"):
                raise ParameterError(
                    f"{self.name}.{name}: one number for the whole projection is needed; what "
                    "differs from synapse to synapse is the weight, the delay or a state."
                )

    def replace(self, **values: Any) -> Any:
        """Return a copy with some parameters or initial values changed."""
        return type(self)(**(self.values | self.initial | values))

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain data: JSON values."""
        text = self.spec.text
        return {
            "name": self.name,
            "values": self.values | self.initial,
            "synapse": {
                "parameters": {k: vars(p) for k, p in text["parameters"].items()},
                "states": {k: vars(s) for k, s in text["states"].items()},
                **{k: list(text[k]) if k == "bounds" else text[k] for k in _TEXTS},
            },
        }


def _initial_value(model: str, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise ParameterError(f"{model}: initial {name} = {value!r}; a finite number is needed.")
    return number


def synapse_from_declaration(name: str, declaration: Mapping[str, Any]) -> type[SynapseModel]:
    """Return the SynapseModel class that a declaration (see `SynapseModel.to_dict`) describes."""
    body: dict[str, Any] = {k: declaration[k] for k in _TEXTS if declaration[k] is not None}
    body["bounds"] = tuple(declaration["bounds"])
    for key, fields in declaration["parameters"].items():
        usual = fields["usual"]
        body[key] = Parameter(**(dict(fields) | {"usual": tuple(usual) if usual else None}))
    for key, fields in declaration["states"].items():
        body[key] = State(**fields)
    return type(name, (SynapseModel,), body)
