"""The declarations and equations of a neuron of several compartments, written from its parts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from neurosim.errors import ModelError, ParameterError, unknown_name
from neurosim.models.compartment import Compartment, Coupling, SpikeMechanism
from neurosim.models.declare import Parameter, Refractory, State
from neurosim.models.mechanisms import LONGEST

#: rk4 is stable up to a step of 2.78 over the fastest rate; the margin is for synapses.
_STIFF = 2.0
_USUAL_STEP = 0.1
#: What a part looks like, for messages.
_EXAMPLES = {
    Compartment: "Compartment('dend', C_m=50.0, g_L=2.5, E_L=-70.0)",
    Coupling: "Coupling('soma', 'dend', 15.0)",
}


@dataclass
class Parts:
    """The parts of a model, checked, and the class body that they make."""

    name: str
    compartments: Sequence[Compartment]
    couplings: Sequence[Coupling]
    spike: SpikeMechanism | None
    neighbours: dict[str, list[tuple[str, str]]] = field(init=False)

    def __post_init__(self) -> None:
        self.neighbours = {}
        for kind, parts in ((Compartment, self.compartments), (Coupling, self.couplings)):
            for part in parts:
                if not isinstance(part, kind):
                    raise ModelError(
                        f"{self.name}: {part!r} is no {kind.__name__}; write {_EXAMPLES[kind]}."
                    )
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
        if not isinstance(coupling.g, Real):
            raise ParameterError(f"{where}: g = {coupling.g!r}; a number is needed.")
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
