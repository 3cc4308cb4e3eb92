"""Projections as records of the device: what their rows of synapses are drawn from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from neurosim.engines.gpu.layout import Layout
from neurosim.engines.gpu.structs import MODES, PROJECTION
from neurosim.lower.connectivity import ConnectionSpec
from neurosim.lower.expand import stable_order
from neurosim.lower.plan import ConnectionPlan, Plan
from neurosim.lower.rows import Rows
from neurosim.network.distributions import CONSTANT, Lowered
from neurosim.network.explicit import Explicit

Put = Callable[[np.ndarray], int]
#: Ways of filling a row in which a source's synapses can be drawn when it spikes.
_REPEATABLE = ("draw", "all", "one", "skip")


def refusal(spec: ConnectionSpec, rows: Rows) -> str | None:
    """Return why rows of a projection cannot be drawn when they are delivered, or None."""
    rule = type(spec.rule).__name__
    if rows.by_target:
        return f"{rule} draws the sources of each target, not the targets of each source"
    if rows.mode == "list":
        return f"{rule} lists its synapses"
    if rows.mode not in _REPEATABLE:
        return f"{rule} with multapses=False has to remember what it has drawn"
    return None


def record_of(c: ConnectionPlan, rows: Rows, plan: Plan, layout: Layout, put: Put) -> np.ndarray:
    """Return the record of a projection; where its rows lie and its units are set later.

    Parameters
    ----------
    c : ConnectionPlan
    rows : Rows
        How its rows are filled.
    plan : Plan
    layout : Layout
    put : callable
        Copies an array to the device and returns its address.
    """
    spec, record = c.spec, np.zeros(1, PROJECTION)
    n_post = plan.populations[c.post].n
    fields: dict[str, Any] = {
        "mode": MODES.index(rows.mode), "by_target": rows.by_target, "absolute": spec.absolute,
        "n_rows": rows.n_rows, "n_columns": rows.n_columns,
        "key": spec.key[0] | spec.key[1] << 32, "inverse_log": rows.inverse_log, "dt": spec.dt,
        "positive": layout.channel[c.post] + spec.receptors[0] * n_post,
        "negative": layout.channel[c.post] + spec.receptors[1] * n_post,
        "positive_unit": 1.0, "negative_unit": 1.0, "constant": spec.constant,
    }  # fmt: skip
    if rows.degree.size:
        fields["degree"] = rows.degree[0]
        if (rows.degree != rows.degree[0]).any():
            fields["degrees"] = put(rows.degree)
    if (rows.excluded >= 0).any():
        fields["excluded"] = put(rows.excluded)
    for name, ids in (("pre_ids", spec.pre_ids), ("post_ids", spec.post_ids)):
        if ids is not None:
            fields[name] = put(ids)
    for name, values in (("weight", spec.weight), ("delay", spec.delay)):
        if isinstance(values, Lowered):
            fields[f"{name}_kind"] = values.kind
            fields[name] = values[1:]
        else:
            fields[f"list_{name}"] = put(values)
    if isinstance(spec.rule, Explicit):
        fields |= _listed(spec, spec.rule, put)
    for name, value in fields.items():
        record[name] = value
    return record


def _listed(spec: ConnectionSpec, rule: Explicit, put: Put) -> dict[str, int]:
    fields = {
        "n_rows": rule.pre.size,
        "list_row": put(rule.pre.astype(np.uint32)),
        "list_column": put(rule.post.astype(np.uint32)),
    }
    if any(isinstance(v, Lowered) and v.kind != CONSTANT for v in (spec.weight, spec.delay)):
        order = stable_order(rule.pre)
        rows = rule.pre[order]
        number = np.empty(order.size, np.uint32)
        number[order] = np.arange(order.size) - np.searchsorted(rows, rows)
        fields["list_number"] = put(number)
    return fields


def row_of(spec: ConnectionSpec, n: int) -> np.ndarray:
    """Return which member of the view of sources each of the population's n neurons is, or -1."""
    rows = np.full(n, -1, np.int32)
    rows[np.arange(n) if spec.pre_ids is None else spec.pre_ids] = np.arange(spec.n_pre)
    return rows
