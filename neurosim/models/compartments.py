"""Neurons of several compartments: membranes coupled by conductances, written as one model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from neurosim.errors import ModelError, ParameterError, unknown_name
from neurosim.models.base import NeuronModel
from neurosim.models.declare import Parameter, Refractory, State
from neurosim.models.mechanisms import LONGEST, Mechanism

#: rk4 is stable up to a step of 2.78 over the fastest rate; the margin is for synapses.
_STIFF = 2.0
_USUAL_STEP = 0.1


@dataclass(frozen=True, kw_only=True)
class Membrane:
    """Capacitance, leak and constant current of a compartment, in pF, nS, mV and pA."""

    C_m: float
    g_L: float
    E_L: float
    I_e: float = 0.0


class Compartment:
    """A piece of membrane at one potential.

    Parameters
    ----------
    name : str
        Its name; the model's names begin with it: ``dend_V_m``, ``dend_C_m``, ``dend_exc``.
    C_m : float
        Capacitance [pF].
    g_L : float
        Leak conductance [nS].
    E_L : float
        Reversal potential of the leak and initial potential [mV].
    I_e : float, default 0.0
        Constant current [pA].
    receptors : mapping, optional
        Receptors that feed several mechanisms at once, such as ``{"glu": ["ampa", "nmda"]}``.
    **mechanisms : Mechanism
        What is in the membrane, by name. Each one that takes input has a receptor of its name.

    Raises
    ------
    ModelError
        If a name is no identifier, a mechanism is none, or the capacitance or leak is missing.
    ParameterError
        If C_m is not above 0 or g_L is below 0.
    UnknownNameError
        If a receptor names a mechanism that does not exist.

    Examples
    --------
    >>> from neurosim.models import Compartment, conductance_synapse
    >>> Compartment("dend", C_m=50.0, g_L=2.5, E_L=-60.0, exc=conductance_synapse(0.0, 2.0))
    Compartment('dend', exc)
    """

    def __init__(
        self,
        name: str,
        *,
        C_m: float | None = None,
        g_L: float | None = None,
        E_L: float | None = None,
        I_e: float = 0.0,
        receptors: Mapping[str, Sequence[str]] | None = None,
        **mechanisms: Mechanism,
    ) -> None:
        where = f"compartment {name!r}"
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ModelError(f"{where}: a name of letters, digits and '_' is needed.")
        if C_m is None or g_L is None or E_L is None:
            values = {"C_m": C_m, "g_L": g_L, "E_L": E_L}
            missing = ", ".join(k for k, v in values.items() if v is None)
            raise ModelError(
                f"{where} has no membrane: {missing} must be given, as in "
                f"Compartment({name!r}, C_m=50.0, g_L=2.5, E_L=-70.0)."
            )
        if not C_m > 0 or not g_L >= 0:
            raise ParameterError(
                f"{where}: C_m = {C_m:g} pF must be > 0 and g_L = {g_L:g} nS must be >= 0."
            )
        for key, mechanism in mechanisms.items():
            if not isinstance(mechanism, Mechanism):
                raise ModelError(
                    f"{where}: {key} = {mechanism!r}; a Mechanism is needed, such as "
                    "conductance_synapse(0.0, 2.0)."
                )
        self.name = name
        self.membrane = Membrane(C_m=C_m, g_L=g_L, E_L=E_L, I_e=I_e)
        self.mechanisms = {k: m.named(name, k) for k, m in mechanisms.items()}
        self.receptors = self._receptors(receptors or {}, where)

    def _receptors(self, shared: Mapping[str, Sequence[str]], where: str) -> dict[str, str]:
        """Return the statements of each receptor by its name in the model."""
        single = {k: m.receptor for k, m in self.mechanisms.items() if m.receptor}
        found = {f"{self.name}_{k}": text for k, text in single.items()}
        for key, members in shared.items():
            for member in members:
                if member not in single:
                    raise unknown_name("input", member, single, where)
            if key in single:
                raise ModelError(f"{where}: receptor {key!r} has the name of a mechanism.")
            found[f"{self.name}_{key}"] = "; ".join(single[m] for m in members)
        return found

    def __repr__(self) -> str:
        return f"Compartment({', '.join([repr(self.name), *self.mechanisms])})"


@dataclass(frozen=True)
class Coupling:
    """A conductance between two compartments.

    Parameters
    ----------
    first, second : str
        Names of the compartments.
    g : float
        Conductance [nS].
    name : str, optional
        Name of the parameter that holds it; default ``g_<first>_<second>``.
    """

    first: str
    second: str
    g: float
    name: str = ""

    @property
    def parameter(self) -> str:
        """Name of the parameter."""
        return self.name or f"g_{self.first}_{self.second}"


@dataclass(frozen=True, kw_only=True)
class SpikeMechanism:
    """Threshold, reset and refractory time of the compartment that spikes.

    Parameters
    ----------
    compartment : str, default "soma"
    V_th, V_reset : float
        Threshold and reset [mV]; parameters of the model.
    t_ref : float, default 2.0
        Refractory time [ms].
    hold : sequence of str, optional
        Compartments whose potential stands still in the refractory time; default: the one that
        spikes. Empty: a mere dead time.
    t_hold : float, optional
        Time [ms] for which they stand still, where it is not t_ref.
    V_peak : float, optional
        What the neighbours see for t_peak after a spike instead of the reset potential [mV]: the
        spike runs back into the dendrites.
    t_peak : float, default 1.0
        Width of the spike [ms]; at most t_ref (or t_hold).
    V_jump, tau_jump : float
        Jump of the threshold at a spike [mV] and the time constant of its decay [ms]; no jump by
        default.
    """

    compartment: str = "soma"
    V_th: float = -50.0
    V_reset: float = -60.0
    t_ref: float = 2.0
    hold: Sequence[str] | None = None
    t_hold: float | None = None
    V_peak: float | None = None
    t_peak: float = 1.0
    V_jump: float | None = None
    tau_jump: float = 30.0

    @property
    def has_timer(self) -> bool:
        """Whether the time since the last spike is a state."""
        return self.V_peak is not None or self.t_hold is not None

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters that it declares."""
        found = {
            "V_th": Parameter(self.V_th, "mV", "threshold"),
            "V_reset": Parameter(self.V_reset, "mV", "reset potential"),
            "t_ref": Parameter(self.t_ref, "ms", "refractory period", ge=0),
        }
        if self.t_hold is not None:
            text = "time for which the potential stands still after a spike"
            found["t_hold"] = Parameter(self.t_hold, "ms", text, ge=0)
        if self.V_peak is not None:
            found["V_peak"] = Parameter(self.V_peak, "mV", "potential of the spike for neighbours")
            found["t_peak"] = Parameter(self.t_peak, "ms", "width of the spike", ge=0)
        if self.V_jump is not None:
            found["V_jump"] = Parameter(self.V_jump, "mV", "jump of the threshold at a spike")
            text = "time constant of the threshold"
            found["tau_jump"] = Parameter(self.tau_jump, "ms", text, gt=0)
        return found


class CompartmentalModel(NeuronModel):
    """A neuron of several compartments; the equations are written from its parts.

    Subclass it (or call `compartmental`) with ``compartments``, ``couplings`` and, if it fires,
    ``spike``. Parameters and states are named after the compartment: ``soma_V_m``, ``dend_C_m``,
    ``dend_tau_syn_exc``; receptors too: ``dend_exc``. The result is an ordinary model, whose text
    is in ``equations``, so every engine runs it. Passive membranes and synaptic currents are linear
    and are integrated exactly, together; with conductances or active currents the potentials are
    integrated by ``method``: rk4, or rk45 where a coupling is so strong that rk4 would be unstable
    at steps of 0.1 ms.

    Raises
    ------
    ModelError
        If two compartments or couplings are the same, a coupling joins a compartment to itself,
        couplings form a loop, or a compartment is connected to no other.
    ParameterError
        If a coupling's conductance is below 0.
    UnknownNameError
        If a coupling or the spike names a compartment that does not exist.

    Examples
    --------
    >>> from neurosim.models import Compartment, Coupling, SpikeMechanism, nmda_synapse
    >>> class pyramidal(CompartmentalModel):
    ...     compartments = (
    ...         Compartment("soma", C_m=200.0, g_L=10.0, E_L=-60.0),
    ...         Compartment("dend", C_m=50.0, g_L=2.5, E_L=-60.0, nmda=nmda_synapse()),
    ...     )
    ...     couplings = (Coupling("soma", "dend", 15.0),)
    ...     spike = SpikeMechanism(V_th=-40.0, V_reset=-60.0)
    >>> list(pyramidal.receptors), list(pyramidal.states)
    (['dend_nmda'], ['soma_V_m', 'dend_V_m', 'dend_g_nmda'])
    """

    compartments: ClassVar[Sequence[Compartment]] = ()
    couplings: ClassVar[Sequence[Coupling]] = ()
    spike: ClassVar[SpikeMechanism | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if not cls.compartments:
            raise ModelError(
                f"{cls.__name__} has no compartments; give at least one, such as "
                "compartments = (Compartment('soma', C_m=200.0, g_L=10.0, E_L=-70.0),)."
            )
        given = [k for k in ("equations", "receptors", "threshold", "reset") if k in vars(cls)]
        if given:
            raise ModelError(
                f"{cls.__name__}: {given[0]} is written from the compartments; put your own lines "
                "into a Mechanism."
            )
        parts = _Parts(cls.__name__, cls.compartments, cls.couplings, cls.spike)
        for key, value in parts.body().items():
            if key not in vars(cls):
                setattr(cls, key, value)
        super().__init_subclass__(**kwargs)

    def __init__(self, *, method: str | None = None, **values: Any) -> None:
        if not self.compartments:
            raise ModelError("CompartmentalModel is a base class; subclass it with compartments.")
        super().__init__(method=method, **values)


def compartmental(
    name: str,
    compartments: Sequence[Compartment],
    couplings: Sequence[Coupling] = (),
    spike: SpikeMechanism | None = None,
    *,
    method: str | None = None,
    doc: str = "",
) -> type[CompartmentalModel]:
    """Return a model of coupled compartments (see `CompartmentalModel`).

    Parameters
    ----------
    name : str
        Name of the model.
    compartments : sequence of Compartment
    couplings : sequence of Coupling
        A tree that reaches all of them.
    spike : SpikeMechanism, optional
        Without it the neuron never fires.
    method : str, optional
        How what is not linear is integrated; default: rk4, or rk45 for stiff neurons.
    doc : str
        Its docstring.

    Raises
    ------
    ModelError, ParameterError, UnknownNameError
        As for `CompartmentalModel`.
    """
    body: dict[str, Any] = {"compartments": tuple(compartments), "couplings": tuple(couplings)}
    body |= {"spike": spike, "__doc__": doc or None} | ({"method": method} if method else {})
    return type(name, (CompartmentalModel,), body)


@dataclass
class _Parts:
    """The parts of a model, checked, and the class body that they make."""

    name: str
    compartments: Sequence[Compartment]
    couplings: Sequence[Coupling]
    spike: SpikeMechanism | None
    neighbours: dict[str, list[tuple[str, str]]] = field(init=False)

    def __post_init__(self) -> None:
        self.neighbours = {}
        for c in self.compartments:
            if c.name in self.neighbours:
                raise ModelError(f"{self.name} has two compartments {c.name!r}; rename one.")
            self.neighbours[c.name] = []
        for coupling in self.couplings:
            self._join(coupling)
        reached = self._reached(self.compartments[0].name)
        for name in self.neighbours:
            if name not in reached:
                raise ModelError(
                    f"{self.name}: compartment {name!r} is not connected to "
                    f"{self.compartments[0].name!r}; add a Coupling."
                )
        spike = self.spike
        for compartment in () if spike is None else (spike.compartment, *(spike.hold or ())):
            self._require(compartment, "the spike")

    def _require(self, compartment: str, what: str) -> None:
        if compartment not in self.neighbours:
            owner = f"{self.name}: {what} names a compartment that it does not have. The neuron"
            raise unknown_name("compartment", compartment, self.neighbours, owner)

    def _join(self, coupling: Coupling) -> None:
        """Add a coupling; the compartments must be a tree, so a second way is a loop."""
        a, b = coupling.first, coupling.second
        where = f"{self.name}: Coupling({a!r}, {b!r})"
        for compartment in (a, b):
            self._require(compartment, f"Coupling({a!r}, {b!r})")
        if a == b:
            raise ModelError(f"{where} couples a compartment to itself.")
        if not coupling.g >= 0:
            raise ParameterError(f"{where}: g = {coupling.g:g} nS must be >= 0.")
        path = self._reached(a).get(b)
        if path is not None and len(path) == 2:
            raise ModelError(f"{where}: these two are coupled already; add up their conductances.")
        if path is not None:
            raise ModelError(
                f"{where} closes a loop: {' - '.join([*path, a])}. Compartments must form a tree; "
                "leave one of these couplings out."
            )
        self.neighbours[a].append((b, coupling.parameter))
        self.neighbours[b].append((a, coupling.parameter))

    def _reached(self, start: str) -> dict[str, list[str]]:
        """Return the path from a compartment to each one that it is connected to."""
        paths, waiting = {start: [start]}, [start]
        while waiting:
            at = waiting.pop()
            for other, _ in self.neighbours[at]:
                if other not in paths:
                    paths[other] = [*paths[at], other]
                    waiting.append(other)
        return paths

    def body(self) -> dict[str, Any]:
        """Return the declarations and texts of the class."""
        found: dict[str, Any] = {}
        lines: list[str] = []
        for c in self.compartments:
            found |= self._declarations(c)
            lines += self._equations(c)
        for coupling in self.couplings:
            text = f"conductance between {coupling.first} and {coupling.second}"
            found[coupling.parameter] = Parameter(coupling.g, "nS", text, ge=0)
        found["receptors"] = {k: v for c in self.compartments for k, v in c.receptors.items()}
        if self.spike is not None:
            lines += self._spike_lines(self.spike)
            found |= self._firing(self.spike)
        found["equations"] = "\n".join(lines)
        if self._is_stiff():
            found["method"] = "rk45"
        return found

    def _declarations(self, c: Compartment) -> dict[str, Any]:
        name, m = c.name, c.membrane
        found: dict[str, Any] = {
            f"{name}_C_m": Parameter(m.C_m, "pF", f"capacitance of {name}", gt=0),
            f"{name}_g_L": Parameter(m.g_L, "nS", f"leak conductance of {name}", ge=0),
            f"{name}_E_L": Parameter(m.E_L, "mV", f"leak reversal potential of {name}"),
            f"{name}_I_e": Parameter(m.I_e, "pA", f"constant current into {name}"),
            f"{name}_V_m": State("mV", f"{name}_E_L", f"membrane potential of {name}"),
        }
        for mechanism in c.mechanisms.values():
            found |= {**mechanism.parameters, **mechanism.states}
        return found

    def _equations(self, c: Compartment) -> list[str]:
        """Return the lines of a compartment; the currents into it are positive."""
        V = f"{c.name}_V_m"
        terms = [f"{c.name}_g_L*({c.name}_E_L - {V})"]
        terms += [f"{g}*({self._seen(other)} - {V})" for other, g in self.neighbours[c.name]]
        lines: list[str] = []
        for key, mechanism in c.mechanisms.items():
            lines += mechanism.equations.splitlines()
            lines.append(f"{c.name}_current_{key} = {mechanism.current}")
            terms.append(f"{c.name}_current_{key}")
        total = " + ".join([*terms, f"{c.name}_I_e"])
        return [f"d{V}/dt = ({total})/{c.name}_C_m : mV", *lines]

    def _seen(self, compartment: str) -> str:
        """Return the potential of a compartment as its neighbours see it."""
        s = self.spike
        peaks = s is not None and s.compartment == compartment and s.V_peak is not None
        return f"{compartment}_V_seen" if peaks else f"{compartment}_V_m"

    def _spike_lines(self, spike: SpikeMechanism) -> list[str]:
        name, lines = spike.compartment, []
        if spike.has_timer:
            end = f"min({name}_since + dt, {LONGEST:g}[ms])"
            lines.append(f"{name}_since := {end} : ms")
        if spike.V_peak is not None:
            V = f"where({name}_since < t_peak - dt/2, V_peak, {name}_V_m)"
            lines.append(f"{name}_V_seen = {V}")
        if spike.V_jump is not None:
            lines.append("dV_th_up/dt = -V_th_up/tau_jump : mV")
        return lines

    def _firing(self, spike: SpikeMechanism) -> dict[str, Any]:
        """Return threshold, reset, refractory time and their declarations."""
        name = spike.compartment
        found: dict[str, Any] = dict(spike.parameters())
        threshold = f"{name}_V_m >= V_th"
        reset = [f"{name}_V_m = V_reset"]
        if spike.V_jump is not None:
            found["V_th_up"] = State("mV", 0.0, "what spikes have added to the threshold")
            threshold += " + V_th_up"
            reset.append("V_th_up += V_jump")
        if spike.has_timer:
            found[f"{name}_since"] = State("ms", LONGEST, "time since the last spike")
            reset.append(f"{name}_since = 0")
        if spike.t_hold is not None:
            threshold += f" and {name}_since > t_ref + dt/2"
        for c in self.compartments:
            reset += [m.reset for m in c.mechanisms.values() if m.reset]
        held = [name] if spike.hold is None else spike.hold
        duration = "t_ref" if spike.t_hold is None else "t_hold"
        refractory = Refractory(duration, hold=[f"{h}_V_m" for h in held])
        texts = {"threshold": threshold, "reset": "; ".join(reset), "refractory": refractory}
        return found | texts

    def _is_stiff(self) -> bool:
        """Whether rk4 would be unstable at usual steps (a map excludes rk45)."""
        conductance = {c.parameter: c.g for c in self.couplings}
        rates = []
        for c in self.compartments:
            coupled = sum(conductance[g] for _, g in self.neighbours[c.name])
            rates.append((2.0 * coupled + c.membrane.g_L) / c.membrane.C_m)
        mechanisms = [m for c in self.compartments for m in c.mechanisms.values()]
        linear = not any(re.search(r"_V_m\b", m.current) for m in mechanisms)
        maps = any(m.has_maps for m in mechanisms) or bool(self.spike and self.spike.has_timer)
        return max(rates) * _USUAL_STEP > _STIFF and not linear and not maps
