"""NeuronModel: the base class of every neuron model, built-in or written by the user."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from neurosim.errors import ModelError, ParameterError, ParameterWarning, unknown_name
from neurosim.models.after_spike import check_reset
from neurosim.models.declare import Parameter, Refractory, State
from neurosim.models.spec import METHODS, ModelSpec, SpecBuilder
from neurosim.units import magnitude, plain_numbers

_TEXTS = (
    "equations", "receptors", "threshold", "reset", "refractory", "method", "tolerance",
    "threshold_test",
)  # fmt: skip


class Model:
    """Anything a population can be made of; instances hold parameter values.

    Attributes
    ----------
    parameters : dict of str to Parameter
        Declared parameters.
    values : dict
        Value of each parameter in its declared unit: a float, an array (one value a neuron) or a
        distribution (drawn when the network is lowered).
    """

    parameters: ClassVar[Mapping[str, Parameter]] = {}
    states: ClassVar[Mapping[str, State]] = {}
    is_source: ClassVar[bool] = False

    def __init__(self, **values: Any) -> None:
        for name in values:
            if name not in self.parameters:
                raise unknown_name("parameter", name, self.parameters, type(self).__name__)
        self.values: dict[str, Any] = {
            name: self._checked(name, values.get(name, declared.default))
            for name, declared in self.parameters.items()
        }

    @property
    def name(self) -> str:
        """Name of the model, as NEST spells it for the built-in ones."""
        return type(self).__name__

    def _checked(self, name: str, value: Any) -> Any:
        declared = self.parameters[name]
        what = f"{self.name}.{name}"
        value = magnitude(value, declared.unit, what)
        if hasattr(value, "draw") and not isinstance(value, type):  # a distribution
            return value
        return check_values(value, declared, what)

    def replace(self, **values: Any) -> Any:
        """Return a copy with some parameters changed."""
        return type(self)(**(self.values | values))

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain data (see `model_from_dict`)."""
        return {"name": self.name, "values": dict(self.values)}

    def __repr__(self) -> str:
        changed = ", ".join(
            f"{k}={v!r}" if np.ndim(v) == 0 else f"{k}=<{np.size(v)} values>"
            for k, v in self.values.items()
            if np.ndim(v) or v != (self.parameters[k].default if k in self.parameters else False)
        )
        return f"{self.name}({changed})"


def check_values(value: Any, declared: Parameter, what: str) -> Any:
    """Return a parameter value as float or float64 array, checked against its declaration.

    Raises
    ------
    ParameterError
        If it is not a number, not finite, not of one dimension, or out of bounds.
    """
    try:
        array = plain_numbers(value)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"{what} = {value!r}: a number in {declared.unit} is needed."
        ) from error
    if array.ndim > 1:
        raise ParameterError(f"{what} has shape {array.shape}; give one value, or one a neuron.")
    # infinite bounds such as V_min = -inf are declared as defaults; nothing else may be infinite
    bad = ~np.isfinite(array) & (array != declared.default)
    if bad.any():
        first = f" (neuron {np.argmax(bad)}, {bad.sum()} of {bad.size})" if array.ndim else ""
        raise ParameterError(f"{what} = {array[bad].flat[0]}{first} is not a finite number.")
    for edge in {float(array.min()), float(array.max())} if array.size else set():
        problem = declared.violation(edge)
        if problem:
            meaning = f" ({declared.doc})" if declared.doc else ""
            raise ParameterError(f"{what} = {edge:g} {declared.unit}: {problem}{meaning}.")
        if declared.usual and not declared.usual[0] <= abs(edge) <= declared.usual[1] and edge != 0:
            low, high = declared.usual
            warnings.warn(
                f"{what} = {edge:g} {declared.unit} is outside the usual {low:g}-{high:g} "
                f"{declared.unit}; is the unit right?",
                ParameterWarning,
                stacklevel=5,
            )
    return float(array) if array.ndim == 0 else array.copy()


def declarations(cls: type, texts: Sequence[str]) -> dict[str, Any]:
    """Return what a class body declares: parameters and states, also inherited, and texts."""
    text: dict[str, Any] = {"parameters": {}, "states": {}}
    for klass in reversed(cls.__mro__):
        for name, value in vars(klass).items():
            if isinstance(value, Parameter):
                text["parameters"][name] = value
            elif isinstance(value, State):
                text["states"][name] = value
    return text | {name: getattr(cls, name, None) for name in texts}


class NeuronModel(Model):
    """A neuron model as data: parameters, equations, receptors, threshold and reset.

    Subclass it and declare parameters with `param`, states with `state` where an initial value is
    wanted, and the texts ``equations``, ``receptors``, ``threshold``, ``reset``; optionally
    ``refractory`` (a `Refractory`), ``method``, and for the adaptive method ``tolerance`` and
    ``threshold_test``. The texts are parsed and checked when the class
    is made; a mistake raises ModelError that shows the line.

    Parameters
    ----------
    method : str, optional
        Integration method of what is not linear, instead of the model's own: ``"euler"``,
        ``"exponential_euler"``, ``"heun"``, ``"rk4"`` or ``"rk45"`` (adaptive).
    **values
        Parameter values in the declared units: numbers, arrays with one value a neuron,
        distributions, or quantities (pint).

    Raises
    ------
    ParameterError
        For a value out of bounds or not finite, or a reset that does not lead below the threshold.
    UnknownNameError
        For a parameter that the model does not have.

    Examples
    --------
    >>> from neurosim.models import param
    >>> class leaky(NeuronModel):
    ...     tau = param(10.0, "ms", gt=0)
    ...     equations = "dv/dt = -v/tau : 1"
    ...     receptors = {"exc": "v += weight"}
    ...     threshold = "v > 1"
    ...     reset = "v -= 1"
    >>> leaky(tau=20.0).values["tau"]
    20.0
    """

    spec: ClassVar[ModelSpec]
    receptors: ClassVar[Mapping[str, str]] = {}
    method: str = "rk4"
    tolerance: ClassVar[float] = 1e-6
    threshold_test: ClassVar[str] = "step"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        text = declarations(cls, _TEXTS)
        spec = SpecBuilder(cls.__name__, text).build()
        cls.spec = spec
        cls.parameters = dict(spec.parameters)
        cls.states = dict(spec.states)
        cls.receptors = dict(text["receptors"] or {})

    def __init__(self, *, method: str | None = None, **values: Any) -> None:
        if not hasattr(self, "spec"):
            raise ModelError("NeuronModel is a base class; subclass it with equations.")
        super().__init__(**values)
        if method is not None and method not in METHODS:
            raise ModelError(f"{self.name}: method {method!r} is not one of {', '.join(METHODS)}.")
        self.method = method or self.spec.method
        known = {k: v for k, v in self.values.items() if not hasattr(v, "draw")}
        scales = {k: self.parameters[k].parsed_unit.scale for k in known}
        check_reset(self.spec, {k: v * scales[k] for k, v in known.items()}, self.name)

    def replace(self, **values: Any) -> Any:
        """Return a copy with some parameters (or the method) changed."""
        return type(self)(**({"method": self.method} | self.values | values))

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain data: JSON values and arrays."""
        text = self.spec.text
        return {
            "name": self.name,
            "values": dict(self.values),
            "method": self.method,
            "declaration": {
                "parameters": {k: vars(p) for k, p in text["parameters"].items()},
                "states": {k: vars(s) for k, s in text["states"].items()},
                "refractory": None if text["refractory"] is None else {
                    "duration": text["refractory"].duration,
                    "hold": list(text["refractory"].hold),
                    "ignore": list(text["refractory"].ignore),
                },
                **{k: text[k] for k in _TEXTS if k != "refractory"},
            },
        }  # fmt: skip


def neuron_model_from_declaration(name: str, declaration: Mapping[str, Any]) -> type[NeuronModel]:
    """Return the NeuronModel class that a declaration (see `NeuronModel.to_dict`) describes."""
    body: dict[str, Any] = {k: declaration[k] for k in _TEXTS if k != "refractory"}
    for key, fields in declaration["parameters"].items():
        usual = fields["usual"]
        body[key] = Parameter(**(dict(fields) | {"usual": tuple(usual) if usual else None}))
    for key, fields in declaration["states"].items():
        body[key] = State(**fields)
    refractory = declaration["refractory"]
    body["refractory"] = Refractory(**refractory) if refractory else None
    return type(name, (NeuronModel,), body)
