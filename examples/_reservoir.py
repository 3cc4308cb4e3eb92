"""A heterogeneous Izhikevich reservoir with linear readouts and a three-factor rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dsymv, dsyr

import neurosim as ns
from neurosim.models import SynapseModel

N, N_EXC = 600, 480
CUE_ON, CUE_OFF, TRIAL = 100.0, 150.0, 700.0  # ms; the gate is open from CUE_OFF to the end
TAU_R = 30.0  # ms, of the trace r of every neuron
STEPS = int(TRIAL)  # of 1 ms
DECAY = float(np.exp(-1.0 / TAU_R))
ZERO = 10.0  # a plastic weight of this size stands for 0, as magnitudes keep their sign


class reservoir_neuron(ns.NeuronModel):
    """Izhikevich (2003) in steps of 1 ms, the membrane in two halves, as in his script."""

    a = ns.param(0.02, "1/ms", doc="rate of recovery")
    b = ns.param(0.2, "1", doc="sensitivity of recovery")
    c = ns.param(-65.0, "mV", doc="reset potential")
    d = ns.param(8.0, "mV", doc="jump of recovery at a spike")
    tau_syn = ns.param(5.0, "ms", gt=0, doc="decay of synaptic currents")
    bias = ns.param(0.0, "mV/ms", doc="constant input")
    I_e = ns.param(0.0, "mV/ms", doc="injected noise")
    V_m = ns.state("mV", init=-65.0)
    U_m = ns.state("mV", init="b*(-65[mV])")
    equations = """
        I = I_syn + I_cue + bias + I_e
        half = V_m + 0.5[ms]*(0.04[1/(mV*ms)]*V_m**2 + 5[1/ms]*V_m + 140[mV/ms] - U_m/1[ms] + I)
        full = half + 0.5[ms]*(0.04[1/(mV*ms)]*half**2 + 5[1/ms]*half + 140[mV/ms] - U_m/1[ms] + I)
        V_m := full : mV
        U_m := U_m + a*dt*(b*full - U_m) : mV
        dI_syn/dt = -I_syn/tau_syn : mV/ms
        I_cue := 0*I_cue : mV/ms
    """
    receptors = {"in": "I_syn += weight", "cue": "I_cue += weight"}
    threshold = "V_m >= 30[mV]"
    reset = "V_m = c; U_m += d"


class readout(ns.NeuronModel):
    """Linear unit z = w r, also for weights that change under way.

    A step of the rule, ``dw = eta error r``, changes what the spikes so far amount to by
    ``dw r = eta error |r|^2``.
    """

    tau = ns.param(TAU_R, "ms", gt=0, doc="time constant")
    jump = ns.param(1.0 - DECAY, "1", doc="jump at a spike, per weight")
    eta = ns.param(0.0, "1", ge=0, doc="learning rate")
    target = ns.param(0.0, "1", doc="what it should be; injected")
    equations = """
        z := (z + eta*power*gate*(target - z))*exp(-dt/tau) : 1
        y := target : 1
        dpower/dt = -2*power/tau : 1
        gate := 0*gate : 1
    """
    receptors = {"in": "z += jump*weight", "power": "power += weight", "gate": "gate += weight"}


class square(SynapseModel):
    """Sends by how much a spike raises the square of its source's trace r."""

    tau = ns.param(TAU_R, "ms", gt=0, doc="time constant of the trace")
    jump = ns.param(1.0 - DECAY, "1", doc="jump of the trace at a spike")
    presynaptic = "dr/dt = -r/tau : 1"
    on_pre = "risen = (2*r + jump)*jump; r += jump"
    transmit = "w*risen"


class three_factor(SynapseModel):
    """In every step with an open gate the weight changes by eta * error * trace."""

    eta = ns.param(0.0, "1", ge=0, doc="learning rate")
    tau = ns.param(TAU_R, "ms", gt=0, doc="time constant of the trace")
    zero = ns.param(ZERO, "1", gt=0, doc="magnitude that stands for 0")
    presynaptic = "dr/dt = -r/tau : 1"
    on_pre = "r += 1 - exp(-dt/tau)"
    post_event = "gate_post > 0.5"
    on_post = "w += eta*(y_post - z_post)*r"
    bounds = ("0", "2*zero")


@dataclass(frozen=True)
class Recorded:
    """What is kept of a run of many trials."""

    spikes: ns.SpikeTrains
    readout: np.ndarray  # (n_trials, n_steps, 2), while learning; empty without readouts
    weights: np.ndarray  # (n_trials, 2, N), after each trial

    def traces(self, trial: int) -> np.ndarray:
        """Return the traces r (n_steps, N) of a trial."""
        spikes = self.spikes.window(trial * TRIAL, (trial + 1) * TRIAL)
        r = np.zeros((STEPS, N))
        r[np.rint(spikes.times - trial * TRIAL).astype(int) - 1, spikes.ids] = 1.0 - DECAY
        for k in range(1, STEPS):
            r[k] += DECAY * r[k - 1]
        return r


def _reservoir(net: ns.Network, n_trials: int, rng: np.random.Generator) -> ns.network.Population:
    """Add the reservoir, its noise and the cue of every trial."""
    q, exc = rng.random(N), np.arange(N) < N_EXC
    model = reservoir_neuron(
        a=np.where(exc, 0.02, 0.02 + 0.08 * q),
        b=np.where(exc, 0.2, 0.25 - 0.05 * q),
        c=np.where(exc, -65.0 + 15.0 * q**2, -65.0),
        d=np.where(exc, 8.0 - 6.0 * q**2, 2.0),
        bias=rng.uniform(0.0, 5.0, N),
    )
    cells = net.population(N, model, name="cells")
    p = ns.FixedProbability(0.1)
    net.connect(cells[:N_EXC], cells, p, weight=ns.Uniform(0.0, 0.5), receptor="in", name="exc")
    net.connect(cells[N_EXC:], cells, p, weight=ns.Uniform(-1.0, 0.0), receptor="in", name="inh")
    net.inject(cells, ns.NoiseCurrent(0.0, 0.1))
    cued = rng.permutation(N)[: N // 2]
    cue = net.population(1, _every_ms(n_trials, CUE_ON, CUE_OFF), name="cue")
    net.connect(cue, cells, ns.Explicit(np.zeros_like(cued), cued),
                weight=rng.uniform(5.0, 20.0, cued.size), receptor="cue")  # fmt: skip
    return cells


def _every_ms(n_trials: int, start: float, stop: float) -> ns.models.spike_source:
    """Return a source that fires in every step from `start` to `stop` of each trial."""
    steps = np.arange(start, stop)
    return ns.models.spike_source(times=(TRIAL * np.arange(n_trials)[:, None] + steps).ravel())


def simulate(targets: np.ndarray, *, eta: float, seed: int, gate: bool = True) -> Recorded:
    """Run trials with learning readouts.

    Parameters
    ----------
    targets : (n_trials, n_steps, 2)
        What the readouts should say in each step.
    eta : float
        Learning rate.
    seed : int
    gate : bool
        False: the third factor stays 0.
    """
    n_trials = len(targets)
    rng = np.random.default_rng(seed)
    net = ns.Network()
    cells = _reservoir(net, n_trials, rng)
    outs = net.population(2, readout(eta=eta), name="outs")
    times = np.arange(n_trials * STEPS, dtype=float)
    for k in range(2):
        current = ns.StepCurrent(times=times, values=targets[:, :, k].ravel())
        net.inject(outs[k : k + 1], current, parameter="target")
    rule = three_factor(eta=eta)
    net.connect(cells, outs, weight=ZERO, synapse=rule, receptor="in", name="learned")
    net.connect(cells, outs, weight=-ZERO, receptor="in", name="zero")
    net.connect(cells, outs, weight=1.0, synapse=square(), receptor="power", name="power")
    attention = net.population(1, _every_ms(n_trials, CUE_OFF, TRIAL - 1.0), name="attention")
    net.connect(attention, outs, weight=float(gate), receptor="gate")

    learned = ns.Weights(net.projections["learned"], interval=TRIAL)
    record = [ns.Spikes(cells), ns.State(outs, ["z"], interval=1.0), learned]
    sim = ns.Simulation(net, dt=1.0, seed=seed, record=record, engine=ns.CPU(threads=1))
    for _ in range(n_trials):
        sim.run(TRIAL)
        sim.reset()
    results = sim.results
    weights = results.weights["learned"]
    order = np.lexsort((weights.pre, weights.post))
    return Recorded(
        spikes=results.spikes["cells"],
        readout=results.traces["outs"]["z"].reshape(n_trials, STEPS, 2),
        weights=weights.values[:, order].reshape(n_trials, 2, N) - ZERO,
    )


class DeltaRule:
    """The three-factor rule in NumPy, z = w r with the weights of the moment."""

    every = 1

    def __init__(self, eta: float) -> None:
        self.eta, self.w = eta, np.zeros((2, N))

    def update(self, r: np.ndarray, error: np.ndarray) -> None:
        self.w += self.eta * np.outer(error, r)


class Force:
    """FORCE: recursive least squares over all steps so far (Sussillo and Abbott 2009).

    ``P <- P - (P r)(P r)^T/(1 + r^T P r)``; the reservoir gets no feedback of the readouts.
    """

    every = 8  # ms between two updates

    def __init__(self, regularisation: float) -> None:
        self.regularisation, self.w = regularisation, np.zeros((2, N))
        self.reset()

    def reset(self) -> None:
        """Forget how much was learned (not what): P = identity/regularisation."""
        self.P = np.asfortranarray(np.eye(N) / self.regularisation)

    def update(self, r: np.ndarray, error: np.ndarray) -> None:
        gain = dsymv(1.0, self.P, r)
        scale = 1.0 / (1.0 + r @ gain)
        self.P = dsyr(-scale, gain, a=self.P, overwrite_a=True)
        self.w += scale * np.outer(error, gain)


def trial(learner: DeltaRule | Force, r: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Let a learner see a trial; return its readout meanwhile, (n_steps, 2)."""
    z = np.empty((STEPS, 2))
    for k in range(STEPS):
        z[k] = learner.w @ r[k]
        if k >= CUE_OFF and k % learner.every == 0:
            learner.update(r[k], targets[k] - z[k])
    return z
