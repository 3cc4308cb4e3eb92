"""The records of plastic synapses that host and device share, see `structs`."""

from __future__ import annotations

from neurosim.engines.gpu import structs

_FIELDS = {
    "Rule": [
        ("long long", "kind"), ("long long", "pre"), ("long long", "post"),  # populations
        ("long long", "every"),  # whether targets are looked at in every step
        ("long long", "channel"),  # the first one of the targets
        ("long long", "n_sources"), ("long long", "n_targets"), ("long long", "n_synapses"),
        ("const REAL*", "numbers"), ("const double*", "scale"),
        ("const long long*", "row"),  # of each source: its first synapse
        ("const ns_plastic*", "words"), ("long long", "delay_bits"),  # target, delay
        ("REAL*", "weights"), ("REAL*", "states"),
        ("long long*", "last"), ("REAL*", "traces"),  # of each source: at its last spike
        ("long long*", "past"), ("REAL*", "before"),  # the same before the spikes of this step
        ("long long", "edge"),  # states are as of this step where nothing came since
        # events of the targets: [target][slot][step, traces, states], how many there have been,
        # and how many of them all synapses have seen
        ("REAL*", "history"), ("int*", "counts"), ("int*", "swept"), ("long long", "record"),
        ("long long", "capacity"), ("long long", "limit"), ("long long", "longest"),
        ("const unsigned*", "ranks"), ("unsigned long long", "key"),  # of random draws
        ("REAL*", "samples"), ("long long", "n_kept"),  # states of the last steps
    ],
    "Spike": [
        ("long long", "begin"), ("int", "length"), ("int", "count"), ("int", "rule"),
        ("int", "source"),
    ],
}  # fmt: skip
RULE, SPIKE = (structs.record_type(fields) for fields in _FIELDS.values())


def declarations(real: str, wide: bool) -> str:
    """Return the structs as C source.

    Parameters
    ----------
    real : {"float", "double"}
    wide : bool
        Whether a synapse takes 64 bits.
    """
    types = [
        f"typedef {'int' if real == 'float' else 'long long'} ns_whole;",
        f"typedef unsigned {'long long' if wide else 'int'} ns_plastic;",
    ]
    return "\n".join([*types, structs.declarations(_FIELDS)])
