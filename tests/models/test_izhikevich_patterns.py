"""The twenty patterns of Izhikevich (2004), IEEE Trans. Neural Netw. 15:1063.

The published script steps v first and then u with the new v, and tests v > 30; it says at which
point of its time axis (the start of the step) it found a spike. Here that is a pair of maps; the
built-in `izhikevich` takes both from old values, as NEST does.
"""

import numpy as np
import pytest

import neurosim as ns


class published(ns.NeuronModel):
    """Izhikevich's neuron in the order of the published script."""

    a = ns.param(0.02, "1/ms")
    b = ns.param(0.2, "1")
    c = ns.param(-65.0, "1")
    d = ns.param(6.0, "1")
    p = ns.param(5.0, "1")
    q = ns.param(140.0, "1")
    v_u = ns.param(0.0, "1", doc="potential at which b does not act (accommodation)")
    keep = ns.param(1.0, "1", doc="0 drops the decay of u (accommodation)")
    I_e = ns.param(0.0, "1")
    v = ns.state("1")
    u = ns.state("1")
    equations = """
        new = v + dt/1[ms]*(0.04*v**2 + p*v + q - u + I_e)
        v := new : 1
        u := u + dt*a*(b*(new - v_u) - keep*u) : 1
    """
    threshold = "v > 30"
    reset = "v = c; u += d"


def step(*changes):
    """Return a current that holds each value from its time on."""
    return lambda t: sum(np.where(t > at - 1e-9, value, 0.0) for at, value in changes)


def pulses(low, high, width, *starts):
    return lambda t: low + (high - low) * sum((t > s) & (t < s + width) for s in starts)


def accommodation(t):
    late = np.where((t >= 300) & (t < 312.5), 4 * (t - 300) / 12.5, 0.0)
    return np.where(t < 200, t / 25, late)


def between(low, high, start, stop):
    return lambda t: np.where((t > start) & (t < stop), high, low)


INTEGRATOR = {"p": 4.1, "q": 108.0}
# a, b, c, d, v0, tau, T, current, number of spikes, first times, anything else
PATTERNS = {
    "A tonic spiking": (
        .02, .2, -65, 6, -70, .25, 100, step((10.25, 14)), 5, [13, 17, 31.5, 59.25, 86.75], {}),
    "B phasic spiking": (.02, .25, -65, 6, -64, .25, 200, step((20.25, .5)), 1, [43.75], {}),
    "C tonic bursting": (
        .02, .2, -50, 2, -70, .25, 220, step((22.25, 15)), 28, [25, 26.5, 28.25, 30, 32], {}),
    "D phasic bursting": (
        .02, .25, -55, .05, -64, .2, 200, step((20.2, .6)), 6, [39, 42.8, 47, 51.8, 57.6, 67.2],
        {}),
    "E mixed mode": (
        .02, .2, -55, 4, -70, .25, 160, step((16.25, 10)), 6, [20, 22.75, 27.25, 67, 99.25, 131.5],
        {}),
    "F adaptation": (
        .01, .2, -65, 8, -70, .25, 85, step((8.75, 30)), 6, [10.25, 12.25, 15, 19.75, 42.5, 71.5],
        {}),
    "G class 1": (
        .02, -.1, -55, 6, -60, .25, 300, lambda t: np.where(t > 30, .075 * (t - 30), 0), 10,
        [84.5, 125, 155.75, 181], INTEGRATOR),
    "H class 2": (
        .2, .26, -65, 0, -64, .25, 300, lambda t: np.where(t > 30, -.5 + .015 * (t - 30), -.5), 14,
        [105.75, 126.5, 145.25], {}),
    "I latency": (.02, .2, -65, 6, -70, .2, 100, between(0, 7.04, 10, 13), 1, [26.6], {}),
    "J subthreshold": (.05, .26, -60, 0, -62, .25, 200, between(0, 2, 20, 25), 1, [26.5], {}),
    "K resonator": (
        .1, .26, -60, -1, -62, .25, 400, pulses(0, .65, 4, 40, 60, 280, 320), 1, [338], {}),
    "L integrator": (
        .02, -.1, -55, 6, -60, .25, 100, pulses(0, 9, 2, 100 / 11, 100 / 11 + 5, 70, 80), 1, [20],
        INTEGRATOR),
    "M rebound spike": (.03, .25, -60, 4, -64, .2, 200, between(0, -15, 20, 25), 1, [68], {}),
    "N rebound burst": (
        .03, .25, -52, 0, -64, .2, 200, between(0, -15, 20, 25), 7, [68, 71, 74.2], {}),
    "O variability": (
        .03, .25, -60, 4, -64, .25, 100,
        lambda t: pulses(0, 1, 5, 10, 80)(t) + pulses(0, -6, 5, 70)(t), 1, [93.25], {}),
    "P bistability": (
        .1, .26, -60, 0, -61, .25, 300, pulses(.24, 1.24, 5, 37.5, 216), 5,
        [45.25, 86, 126.5, 167.25, 208], {}),
    "Q after-potential": (
        1, .2, -60, -21, -70, .1, 50, lambda t: np.where(np.abs(t - 10) < 1, 20, 0), 1, [11.3], {}),
    "R accommodation": (
        .02, 1, -55, 4, -65, .5, 400, accommodation, 1, [311.5], {"v_u": -65.0, "keep": 0.0}),
    "S induced spiking": (
        -.02, -1, -60, 8, -63.8, .5, 350, between(80, 75, 50, 250), 3, [95, 166.5, 236.5], {}),
    "T induced bursting": (
        -.026, -1, -45, -2, -63.8, .5, 350, between(80, 75, 50, 250), 12,
        [87, 89, 91, 93.5, 96, 99, 103.5], {}),
}  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_pattern(pattern):
    a, b, c, d, v0, tau, duration, current, count, first, more = PATTERNS[pattern]
    net = ns.Network()
    u0 = -16.0 if pattern.startswith("R") else b * v0
    cell = net.population(1, published(a=a, b=b, c=c, d=d, **more), name="cell", v=v0, u=u0)
    t = np.arange(round(duration / tau)) * tau
    values = np.broadcast_to(np.asarray(current(t), float), t.shape)
    net.inject(cell, ns.StepCurrent(times=t, values=values), parameter="I_e")
    record = [ns.Spikes(cell)]
    spikes = ns.simulate(net, duration, dt=tau, record=record, engine="reference").spikes["cell"]
    # a spike is at the end of its step here, at the start in the script
    times = spikes.times - tau
    assert times.size == count
    np.testing.assert_allclose(times[: len(first)], first, rtol=0, atol=tau + 1e-6)
