"""Dendritic segments: who they belong to, what they detect, and that only events cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neurosim as ns
from neurosim.errors import NetworkError

M = ns.models


def pattern_network(sources: np.ndarray, times: np.ndarray, theta: float) -> Any:
    net = ns.Network()
    inputs = net.population(40, M.spike_source(times=times, ids=sources), name="inputs")
    cells = net.population(3, M.iaf_psc_exp_dendrite(), name="cells")
    segments = net.segments(cells, 4, M.segment(theta=theta, tau_syn=2.0), weight=50.0)
    return net, inputs, cells, segments


def test_a_segment_needs_coincident_input() -> None:
    """Only the segment on which enough synapses are active together spikes, and tells its cell."""
    together = np.arange(10)
    times = np.concatenate([np.full(10, 10.0), np.arange(10) * 8.0 + 30.0])
    net, inputs, cells, segments = pattern_network(np.tile(together, 2), times, 9.5)
    net.connect(inputs, cells, ns.Explicit(together, np.full(10, 1)), receptor="segment",
                segment=np.full(10, 2), delay=1.0)  # fmt: skip
    net.connect(inputs, cells, ns.Explicit(together, together % 3), receptor="segment",
                segment=together % 4, delay=1.0)  # fmt: skip
    record = [ns.Spikes(segments), ns.State(cells, ["I_dend"], interval=0.1)]
    for engine in ("reference", ns.CPU(threads=2, strategy="event")):
        results = ns.simulate(net, 150.0, record=record, engine=engine)
        spikes = results.spikes["cells.segments"]
        assert spikes.ids.tolist() == [1 * 4 + 2]
        assert spikes.times[0] == pytest.approx(11.0)
        depolarised = results.traces["cells"]["I_dend"].max(axis=0)
        np.testing.assert_allclose(depolarised, [0.0, 50.0, 0.0])


def test_rules_draw_for_every_segment() -> None:
    """FixedIndegree means synapses a segment; views of cells reach their own segments only."""
    net, inputs, cells, segments = pattern_network(np.zeros(0, int), np.zeros(0), 5.0)
    whole = net.connect(inputs, cells, ns.FixedIndegree(7), receptor="segment", name="whole")
    part = net.connect(inputs, cells[[2]], ns.FixedIndegree(3), receptor="segment", name="part")
    assert whole.post is segments and part.post.n == 4
    sim = ns.Simulation(net)
    assert (np.bincount(sim.weights("whole").post, minlength=12) == 7).all()
    assert np.bincount(sim.weights("part").post, minlength=12).tolist() == [0] * 8 + [3] * 4


def test_a_network_with_segments_is_copied() -> None:
    """to_dict and from_dict keep whose segments they are."""
    net, inputs, cells, _ = pattern_network(np.array([3]), np.array([2.0]), 5.0)
    net.connect(inputs, cells, ns.FixedIndegree(7), receptor="segment", name="a")
    copy = ns.Network.from_dict(net.to_dict())
    later = copy.connect(copy.populations["inputs"], copy.populations["cells"], ns.FixedIndegree(2),
                         receptor="segment")  # fmt: skip
    assert later.post is copy.populations["cells.segments"]


def test_mistakes() -> None:
    """Each message names the object and what to do."""
    net, inputs, cells, _ = pattern_network(np.zeros(0, int), np.zeros(0), 5.0)
    other = net.population(2, M.iaf_psc_exp(), name="other")
    with pytest.raises(NetworkError, match="'other' has no dendritic segments; add them with"):
        net.connect(inputs, other, receptor="segment")
    with pytest.raises(NetworkError, match=r"has no receptor 'dendrite'.*iaf_psc_exp_dendrite"):
        net.segments(other, 3)
    with pytest.raises(NetworkError, match="segments already"):
        net.segments(cells, 3)
    with pytest.raises(NetworkError, match="whole numbers from 0 to 3"):
        net.connect(inputs, cells, ns.Explicit([0], [0]), receptor="segment", segment=[4])
    with pytest.raises(NetworkError, match="which segment of its cell"):
        net.connect(inputs, cells, ns.Explicit([0], [0]), receptor="segment")
    with pytest.raises(NetworkError, match=r"segment= goes with Explicit"):
        net.connect(inputs, cells, ns.FixedIndegree(2), receptor="segment", segment=[1])
