"""What sits in the membrane of a compartment: synapses and active currents, as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from neurosim.errors import ParameterError
from neurosim.models.declare import Parameter, State

_NAME = re.compile(r"\[[^\]]*\]|\b[A-Za-z_]\w*")
_DERIVATIVE = re.compile(r"^(\s*)d([A-Za-z_]\w*)(\s*/\s*dt\s*=)(.*)$")
#: Timers stop here [ms], so that they keep their resolution in single precision.
LONGEST = 10_000.0


@dataclass(frozen=True)
class Mechanism:
    """A current through the membrane of one compartment, in the language of models.

    Names are local: of the mechanism's own parameters and states, and of its compartment's
    ``V_m``, ``C_m``, ``g_L``, ``E_L``. In the model they become
    ``<compartment>_<name>_<mechanism>``, such as ``dend_tau_syn_nmda``; other names are left as
    they are. ``ex`` and ``in`` stand for the mechanisms ``exc`` and ``inh``, as in NEST.

    Parameters
    ----------
    current : str
        The current into the cell [pA], such as ``"g*(E - V_m)"``.
    parameters : mapping of str to Parameter
    states : mapping of str to State
    equations : str
        Lines for the states, and sub-expressions.
    receptor : str
        What an arriving spike does, such as ``"g += weight"``; empty: no input.
    reset : str
        What a spike of the neuron does, such as ``"w += b"``.

    Examples
    --------
    A persistent sodium current, without states of its own:

    >>> from neurosim.models import Mechanism, param
    >>> persistent = Mechanism(
    ...     "g*(50[mV] - V_m)/(1 + exp(-(V_m - V_half)/5[mV]))",
    ...     {"g": param(2.0, "nS", doc="peak conductance"),
    ...      "V_half": param(-45.0, "mV", doc="potential of half activation")},
    ... )
    """

    current: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    states: Mapping[str, State] = field(default_factory=dict)
    equations: str = ""
    receptor: str = ""
    reset: str = ""

    @property
    def has_maps(self) -> bool:
        """Whether a line is applied once a step (``:=``)."""
        return ":=" in self.equations

    def named(self, compartment: str, name: str) -> Mechanism:
        """Return the mechanism with the names that it has in the model.

        Parameters
        ----------
        compartment : str
            Name of the compartment.
        name : str
            Name of the mechanism in it.
        """
        suffix = {"exc": "ex", "inh": "in"}.get(name, name)
        own = {*self.parameters, *self.states, *self._definitions()}
        names = {n: f"{compartment}_{n}_{suffix}" for n in own}
        names |= {n: f"{compartment}_{n}" for n in ("V_m", "C_m", "g_L", "E_L") if n not in own}
        return Mechanism(
            _renamed(self.current, names),
            {names[k]: v for k, v in self.parameters.items()},
            {names[k]: v for k, v in self.states.items()},
            "\n".join(_renamed(line, names) for line in self.equations.splitlines()),
            _renamed(self.receptor, names),
            _renamed(self.reset, names),
        )

    def _definitions(self) -> set[str]:
        found = (re.match(r"^\s*([A-Za-z_]\w*)\s*=", line) for line in self.equations.splitlines())
        return {m.group(1) for m in found if m}


def _renamed(line: str, names: Mapping[str, str]) -> str:
    """Return a line with names replaced, those within units ``[mV]`` excepted."""
    derivative = _DERIVATIVE.match(line)
    if derivative:
        indent, state, between, rest = derivative.groups()
        return f"{indent}d{names.get(state, state)}{between}{_renamed(rest, names)}"
    return _NAME.sub(lambda m: names.get(m.group(), m.group()), line)


def current_synapse(tau: float = 2.0, *, tau_rise: float = 0.0) -> Mechanism:
    """Return a synaptic current; a weight [pA] is its peak.

    Parameters
    ----------
    tau : float, default 2.0
        Decay time [ms].
    tau_rise : float, default 0.0
        Rise time [ms]: 0 for an exponential, `tau` for an alpha function, anything else for a
        difference of two exponentials.

    Raises
    ------
    ParameterError
        If a time is not allowed.
    """
    parameters, states, lines, receptor = _kinetics("I", "pA", "current", tau, tau_rise)
    return Mechanism("I", parameters, states, lines, receptor)


def conductance_synapse(
    E: float, tau: float, *, tau_rise: float = 0.0, g_max: float | None = None
) -> Mechanism:
    """Return a synaptic conductance.

    Parameters
    ----------
    E : float
        Reversal potential [mV].
    tau : float
        Decay time [ms].
    tau_rise : float, default 0.0
        Rise time [ms]: 0 for an exponential, `tau` for an alpha function, anything else for a
        difference of two exponentials.
    g_max : float, optional
        Peak conductance of one synapse [nS]; weights are then numbers of synapses. Without it a
        weight is the peak conductance [nS].

    Raises
    ------
    ParameterError
        If a value is not allowed.
    """
    parameters, states, lines, receptor = _kinetics("g", "nS", "conductance", tau, tau_rise)
    parameters["E"] = Parameter(E, "mV", "reversal potential")
    if g_max is not None:
        parameters["g_max"] = _checked(g_max, "nS", "peak conductance of one synapse", "g_max")
        receptor = receptor.replace("weight", "weight*g_max")
    return Mechanism("g*(E - V_m)", parameters, states, lines, receptor)


def nmda_synapse(
    tau: float = 60.0,
    *,
    E: float = 0.0,
    tau_rise: float = 0.0,
    g_max: float | None = None,
    Mg: float = 1.0,
    K_Mg: float = 3.57,
    slope: float = 0.062,
) -> Mechanism:
    """Return an NMDA conductance, blocked by magnesium at rest.

    The conductance is multiplied by 1/(1 + Mg/K_Mg exp(-slope V_m)) (Jahr & Stevens 1990,
    J. Neurosci. 10:3178, whose numbers are the defaults).

    Parameters
    ----------
    tau, E, tau_rise, g_max
        As in `conductance_synapse`.
    Mg : float, default 1.0
        Magnesium outside the cell [mM].
    K_Mg : float, default 3.57
        Magnesium that blocks half at 0 mV [mM].
    slope : float, default 0.062
        Steepness of the block [1/mV].

    Raises
    ------
    ParameterError
        If a value is not allowed.
    """
    plain = conductance_synapse(E, tau, tau_rise=tau_rise, g_max=g_max)
    extra = {
        "Mg": Parameter(Mg, "mM", "magnesium outside the cell", ge=0),
        "K_Mg": Parameter(K_Mg, "mM", "magnesium that blocks half at 0 mV", gt=0),
        "slope": Parameter(slope, "1/mV", "steepness of the magnesium block", ge=0),
    }
    return Mechanism(
        "g*(E - V_m)/(1 + Mg/K_Mg*exp(-slope*V_m))",
        {**plain.parameters, **extra}, plain.states, plain.equations, plain.receptor,
    )  # fmt: skip


def sodium_spike(
    V_th: float = -35.0, g_rise: float = 30.0, g_fall: float = 14.0,
    E_rise: float = 70.0, E_fall: float = -89.0,
    t_rise: float = 1.2, t_fall: float = 2.4, t_offset: float = 0.2, t_ref: float = 5.0,
) -> Mechanism:  # fmt: skip
    """Return a local spike without gating variables: two conductances that a threshold starts.

    When V_m is at V_th or above and t_ref has passed since the last one, g_rise to E_rise is on
    for t_rise, and from t_offset on g_fall to E_fall for t_fall. It begins one step after the
    crossing. Source: Pagkalos, Chavlis & Poirazi (2023), Nat. Commun. 14:131 (Dendrify).

    Parameters
    ----------
    V_th : float
        Threshold [mV].
    g_rise, g_fall : float
        Conductances of the rising and of the falling phase [nS].
    E_rise, E_fall : float
        Their reversal potentials [mV] (sodium and potassium).
    t_rise, t_fall, t_offset, t_ref : float
        Their durations, the delay of the falling phase, and the refractory time [ms].
    """
    ms, nS, mV = "ms", "nS", "mV"
    return Mechanism(
        "where(since < t_rise - dt/2, g_rise, 0)*(E_rise - V_m)"
        " + where(since >= t_offset - dt/2 and since < t_offset + t_fall - dt/2, g_fall, 0)"
        "*(E_fall - V_m)",
        {
            "V_th": Parameter(V_th, mV, "threshold of the local spike"),
            "g_rise": Parameter(g_rise, nS, "conductance of the rising phase", ge=0),
            "g_fall": Parameter(g_fall, nS, "conductance of the falling phase", ge=0),
            "E_rise": Parameter(E_rise, mV, "reversal potential of the rising phase"),
            "E_fall": Parameter(E_fall, mV, "reversal potential of the falling phase"),
            "t_rise": Parameter(t_rise, ms, "duration of the rising phase", ge=0),
            "t_fall": Parameter(t_fall, ms, "duration of the falling phase", ge=0),
            "t_offset": Parameter(t_offset, ms, "delay of the falling phase", ge=0),
            "t_ref": Parameter(t_ref, ms, "refractory time of the local spike", ge=0),
        },
        {"since": State(ms, LONGEST, "time since the last local spike")},
        f"since := where(V_m >= V_th and since >= t_ref - dt/2, 0, min(since + dt, "
        f"{LONGEST:g}[ms])) : ms",
    )


def spike_upstroke(Delta_T: float = 2.0, V_T: float = -50.4) -> Mechanism:
    """Return the exponential sodium current g_L Delta_T exp((V_m - V_T)/Delta_T).

    Source: Fourcaud-Trocme et al. (2003), J. Neurosci. 23:11628.

    Parameters
    ----------
    Delta_T : float, default 2.0
        Sharpness [mV].
    V_T : float, default -50.4
        Potential of spike initiation [mV].
    """
    return Mechanism(
        "g_L*Delta_T*exp(min((V_m - V_T)/Delta_T, 5))",
        {
            "Delta_T": Parameter(Delta_T, "mV", "sharpness of spike initiation", gt=0),
            "V_T": Parameter(V_T, "mV", "potential of spike initiation"),
        },
    )


def adaptation(a: float = 4.0, b: float = 80.5, tau: float = 144.0) -> Mechanism:
    """Return an outward current w that follows the potential and jumps at spikes.

    Source: Brette & Gerstner (2005), J. Neurophysiol. 94:3637.

    Parameters
    ----------
    a : float, default 4.0
        Coupling to the potential [nS].
    b : float, default 80.5
        Jump at a spike of the neuron [pA].
    tau : float, default 144.0
        Time constant [ms].
    """
    return Mechanism(
        "-w",
        {
            "a": Parameter(a, "nS", "subthreshold adaptation"),
            "b": Parameter(b, "pA", "adaptation current that a spike adds"),
            "tau": Parameter(tau, "ms", "time constant of adaptation", gt=0),
        },
        {"w": State("pA", 0.0, "adaptation current")},
        "dw/dt = (a*(V_m - E_L) - w)/tau : pA",
        reset="w += b",
    )


def _checked(value: float, unit: str, doc: str, name: str) -> Parameter:
    """Return a parameter above 0, or raise ParameterError."""
    if not value > 0:
        raise ParameterError(f"synapse: {name} = {value:g} {unit} must be > 0.")
    return Parameter(value, unit, doc, gt=0)


def _kinetics(
    state: str, unit: str, what: str, tau: float, tau_rise: float
) -> tuple[dict[str, Parameter], dict[str, State], str, str]:
    """Return parameters, states, equations and receptor of a synapse whose peak is its weight."""
    parameters = {"tau_syn": _checked(tau, "ms", f"decay time of the {what}", "tau")}
    states = {state: State(unit, 0.0, f"synaptic {what}")}
    if tau_rise == 0:
        return parameters, states, f"d{state}/dt = -{state}/tau_syn : {unit}", f"{state} += weight"
    rise = _checked(tau_rise, "ms", f"rise time of the {what}", "tau_rise")
    aux = f"d{state}"
    states[aux] = State(f"{unit}/ms", 0.0, f"auxiliary state of the {what}")
    lines = [f"d{state}/dt = {aux} - {state}/tau_syn : {unit}"]
    if tau_rise == tau:
        lines.append(f"d{aux}/dt = -{aux}/tau_syn : {unit}/ms")
        parameters["tau_syn"] = _checked(tau, "ms", f"rise time of the {what}", "tau")
        return parameters, states, "\n".join(lines), f"{aux} += weight*exp(1)/tau_syn"
    parameters["tau_rise"] = rise
    lines += [
        f"d{aux}/dt = -{aux}/tau_rise : {unit}/ms",
        "rate = 1/tau_rise - 1/tau_syn",
        "t_max = log(tau_syn/tau_rise)/rate",
        "peak = exp(-t_max/tau_syn) - exp(-t_max/tau_rise)",
    ]
    return parameters, states, "\n".join(lines), f"{aux} += weight*rate/peak"
