"""The Tripod neuron: a soma with two independent dendrites (Quaresima et al. 2022)."""

from neurosim.models.cable import cylinder
from neurosim.models.compartments import (
    Compartment,
    CompartmentalModel,
    Coupling,
    SpikeMechanism,
)
from neurosim.models.mechanisms import (
    Mechanism,
    adaptation,
    conductance_synapse,
    nmda_synapse,
    spike_upstroke,
)

_REST = -70.6
_SOMA = Compartment(
    "soma", C_m=281.0, g_L=40.0, E_L=_REST, spike=spike_upstroke(2.0, -50.4),
    adapt=adaptation(4.0, 80.5, 144.0),
    exc=conductance_synapse(0.0, 2.0, tau_rise=0.25, g_max=0.73),
    inh=conductance_synapse(-75.0, 15.0, tau_rise=0.3, g_max=0.38),
)  # fmt: skip
#: Membranes: inner resistivity [Ohm cm], resistance [Ohm cm2], capacitance [uF/cm2].
_HUMAN = {"R_i": 200.0, "R_m": 38907.0, "C_m": 0.5}
_MOUSE = {"R_i": 200.0, "R_m": 1700.0, "C_m": 1.0}
_BLOCK = {"K_Mg": 3.36, "slope": 0.077}
_NMDA_HUMAN = nmda_synapse(35.0, tau_rise=8.0, g_max=1.31, **_BLOCK)
_NMDA_MOUSE = nmda_synapse(100.0, tau_rise=0.99, g_max=0.159, **_BLOCK)


def _dendrite(
    name: str, length: float, membrane: dict[str, float], nmda: Mechanism
) -> tuple[Compartment, Coupling]:
    """Return a dendrite 4 um thick and its coupling to the soma."""
    capacitance, leak, axial = cylinder(length, 4.0, **membrane)
    compartment = Compartment(
        name, C_m=capacitance, g_L=leak, E_L=_REST, nmda=nmda,
        ampa=conductance_synapse(0.0, 2.0, tau_rise=0.26, g_max=0.73),
        gaba_a=conductance_synapse(-75.0, 29.0, tau_rise=4.8, g_max=0.27),
        gaba_b=conductance_synapse(-90.0, 400.0, tau_rise=30.0, g_max=0.006),
        receptors={"exc": ["ampa", "nmda"], "inh": ["gaba_a", "gaba_b"]},
    )  # fmt: skip
    return compartment, Coupling("soma", name, axial)


_DISTAL, _TO_DISTAL = _dendrite("distal", 400.0, _HUMAN, _NMDA_HUMAN)
_PROXIMAL, _TO_PROXIMAL = _dendrite("proximal", 150.0, _HUMAN, _NMDA_HUMAN)
_DISTAL_MOUSE, _TO_DISTAL_MOUSE = _dendrite("distal", 400.0, _MOUSE, _NMDA_MOUSE)
_PROXIMAL_MOUSE, _TO_PROXIMAL_MOUSE = _dendrite("proximal", 150.0, _MOUSE, _NMDA_MOUSE)


class tripod(CompartmentalModel):
    """Tripod neuron: an adaptive soma with a distal and a proximal dendrite of a human cell.

    Dendrites of 400 and 150 um, 4 um thick; other lengths: `cylinder` gives the values of C_m, g_L
    and the coupling. Weights are numbers of synapses; ``distal_exc`` opens AMPA and NMDA, and
    ``distal_inh`` GABA-A and GABA-B conductances. A spike runs back: for t_peak the dendrites see
    V_peak. Source: Quaresima, Fitz, Duarte, van den Broek, Hagoort & Petersson (2022), J. Physiol.,
    parameters from the authors' program, from which this differs in three ways: conductances are
    integrated without the limit of 1000 pA on a dendrite's synaptic current; spikes raise the
    threshold by V_jump (V_jump=0 for a constant one, as in the program's simulations); and the
    adaptation goes on while the soma is refractory.
    """

    compartments = (_SOMA, _DISTAL, _PROXIMAL)
    couplings = (_TO_DISTAL, _TO_PROXIMAL)
    spike = SpikeMechanism(
        V_th=-50.4, V_reset=_REST, t_ref=3.0, V_peak=20.0, t_peak=1.0, V_jump=10.0, tau_jump=30.0
    )


class tripod_mouse(tripod):
    """Tripod neuron with the membrane and the NMDA synapses of a mouse.

    Its dendrites leak more and its NMDA conductances are small: no plateaus. Otherwise as `tripod`.
    Source: Quaresima et al. (2022), J. Physiol.
    """

    compartments = (_SOMA, _DISTAL_MOUSE, _PROXIMAL_MOUSE)
    couplings = (_TO_DISTAL_MOUSE, _TO_PROXIMAL_MOUSE)
