"""Rows that a real GPU builds: the synapses of the host, bit for bit (marked ``gpu``)."""

from __future__ import annotations

import numpy as np
import pytest
from test_gpu_rows import WEIGHTS, build, expected, ordered, plan_of, table
from test_on_gpu import _REASON

import neurosim as ns
from neurosim.engines.gpu.cupy_device import open_device
from neurosim.engines.gpu.layout import layout_of

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(_REASON is not None, reason=_REASON or "there is a GPU"),
]


@pytest.mark.parametrize(
    "rule",
    [
        ns.FixedProbability(0.1, autapses=False), ns.FixedOutdegree(900, multapses=False),
        ns.FixedIndegree(300), ns.FixedTotalNumber(50_000), ns.AllToAll(autapses=False),
        ns.FixedTotalNumber(50_000, multapses=False),
    ],
    ids=repr,
)  # fmt: skip
def test_rows_equal_those_of_the_host(rule):
    net = ns.Network()
    cells = net.population(1000, ns.models.iaf_psc_exp(), name="cells")
    for weight in WEIGHTS.values():
        delay = ns.Normal(3.0, 3.0, low=0.1)
        net.connect(cells[400:600], cells[::-1], rule, weight=weight, delay=delay)
    plan, device = plan_of(net), open_device(0)
    synapses = ordered(expected(plan, layout_of(plan, device.tile)))
    builder, rows = build(plan, device)
    found = table(builder, rows)
    np.testing.assert_array_equal(ordered(found), synapses)
    starts = np.flatnonzero(np.diff(found[:, 0])) + 1
    for row in np.split(found, starts)[::50]:
        np.testing.assert_array_equal(row, ordered(row))
