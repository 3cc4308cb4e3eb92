"""What a neuron of several compartments is made of: membranes, couplings, its spike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

from neurosim.errors import ModelError, ParameterError, unknown_name
from neurosim.models.declare import Parameter
from neurosim.models.mechanisms import Mechanism


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
        for key, value in {"C_m": C_m, "g_L": g_L, "E_L": E_L, "I_e": I_e}.items():
            if not isinstance(value, Real):
                raise ParameterError(f"{where}: {key} = {value!r}; a number is needed.")
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
