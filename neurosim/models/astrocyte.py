"""The astrocyte of Li and Rinzel, with IP3 from synapses and a slow inward current to neurons."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import param, state


class astrocyte_lr_1994(NeuronModel):
    """Astrocyte: calcium released from the endoplasmic reticulum by IP3, which synapses make.

    A spike raises IP3 by its weight times ``delta_IP3``. Above a range of IP3 calcium oscillates
    with a period of about 12 s. An astrocyte never fires; its calcium drives neurons through
    `Network.couple` or `Network.tripartite`, whose default signal is the slow inward current
    ``SIC_scale log(y)`` [pA] where ``y = (Ca_astro - SIC_th)/nM`` exceeds 1. Concentrations
    are numbers in uM. Source: Li & Rinzel (1994), J. Theor. Biol. 166:461; De Young & Keizer
    (1992), PNAS 89:9895; current: Nadkarni & Jung (2003), Phys. Rev. Lett. 91:268101; NEST
    ``astrocyte_lr_1994``.
    """

    Ca_tot = param(2.0, "1", gt=0, doc="total free calcium, per volume of cytosol [uM]")
    IP3_0 = param(0.16, "1", ge=0, doc="IP3 at rest [uM]")
    Kd_IP3_1 = param(0.13, "1", gt=0, doc="first dissociation constant of IP3 [uM]")
    Kd_IP3_2 = param(0.9434, "1", gt=0, doc="second dissociation constant of IP3 [uM]")
    Kd_act = param(0.08234, "1", gt=0, doc="dissociation constant of activating calcium [uM]")
    Kd_inh = param(1.049, "1", gt=0, doc="dissociation constant of inhibiting calcium [uM]")
    Km_SERCA = param(0.1, "1", gt=0, doc="half-activation of the pump [uM]")
    SIC_scale = param(1.0, "1", ge=0, doc="scale of the slow inward current")
    SIC_th = param(0.19669, "1", ge=0, doc="calcium above which the current flows [uM]")
    delta_IP3 = param(0.0002, "1", ge=0, doc="IP3 from a spike of weight 1 [uM]")
    k_IP3R = param(0.0002, "1/ms", ge=0, doc="binding of inhibiting calcium [1/(uM ms)]")
    rate_IP3R = param(0.006, "1/ms", ge=0, doc="largest rate of release through the receptor")
    rate_L = param(0.00011, "1/ms", ge=0, doc="rate of the leak from the reticulum")
    rate_SERCA = param(0.0009, "1/ms", ge=0, doc="largest uptake by the pump [uM/ms]")
    ratio_ER_cyt = param(0.185, "1", gt=0, doc="volume of the reticulum over that of the cytosol")
    tau_IP3 = param(7142.0, "ms", gt=0, doc="time constant of IP3")
    IP3 = state("1", init="IP3_0", doc="IP3 [uM]")
    Ca_astro = state("1", init=0.073, doc="calcium in the cytosol [uM]")
    h_IP3R = state("1", init=0.793, doc="receptors that calcium does not inhibit")
    equations = """
        Ca_ER   = (Ca_tot - Ca_astro)/ratio_ER_cyt
        opened  = h_IP3R*IP3*Ca_astro/((IP3 + Kd_IP3_1)*(Ca_astro + Kd_act))
        J_ch    = ratio_ER_cyt*rate_IP3R*opened**3*(Ca_ER - Ca_astro)
        J_leak  = ratio_ER_cyt*rate_L*(Ca_ER - Ca_astro)
        J_pump  = rate_SERCA*Ca_astro**2/(Km_SERCA**2 + Ca_astro**2)
        alpha_h = k_IP3R*Kd_inh*(IP3 + Kd_IP3_1)/(IP3 + Kd_IP3_2)
        dIP3/dt      = (IP3_0 - IP3)/tau_IP3 : 1
        dCa_astro/dt = J_ch - J_pump + J_leak : 1
        dh_IP3R/dt   = alpha_h*(1 - h_IP3R) - k_IP3R*Ca_astro*h_IP3R : 1
    """
    receptors = {"exc": "IP3 += weight*delta_IP3"}
    method = "rk4"
