"""The records that host and device share, declared once: NumPy types, printed as C structs.

Every field takes eight bytes (or a pair of them does), so both sides agree on where it lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

Fields = Sequence[tuple[str, str]]
#: C type and name of each field; pointers are kept as addresses.
_FIELDS = {
    # a piece of a row: stored synapses, or numbers of draws of the projection `drawn` (else -1)
    "Item": [
        ("long long", "begin"), ("int", "length"), ("int", "count"), ("double", "amount"),
        ("int", "drawn"), ("int", "row"),
    ],
    # rows of one kind of all sources of a population: `amount` is their one weight, or what the
    # weights of half precision are multiples of
    "Group": [("long long", "first_row"), ("double", "amount")],
    "Projection": [
        ("long long", "mode"), ("long long", "by_target"), ("long long", "absolute"),
        ("long long", "n_rows"), ("long long", "n_columns"), ("unsigned long long", "key"),
        ("long long", "degree"), ("const long long*", "degrees"),  # of all rows, or of each
        ("const long long*", "excluded"), ("double", "inverse_log"),
        ("const long long*", "pre_ids"), ("const long long*", "post_ids"),
        ("long long", "weight_kind"), ("double", "weight[4]"),
        ("long long", "delay_kind"), ("double", "delay[4]"), ("double", "dt"),
        ("const unsigned*", "list_row"), ("const unsigned*", "list_column"),
        ("const unsigned*", "list_number"), ("const double*", "list_weight"),
        ("const double*", "list_delay"),
        ("long long", "positive"), ("long long", "negative"),  # first channels of both receptors
        ("double", "positive_unit"), ("double", "negative_unit"),
        ("long long", "first_row"),  # in the table, of the first source of the population
        # for rows that are drawn when they are delivered: view's index of each source, amount
        ("const int*", "row_of"), ("long long", "constant"), ("double", "amount"),
    ],
    "Build": [
        ("unsigned*", "counts"), ("unsigned*", "degrees"),  # of rows, of channels
        ("const long long*", "row"), ("ns_synapse*", "synapses"),
        ("ns_weight*", "weights"), ("unsigned long long*", "measured"),
        ("unsigned long long*", "tables"), ("long long", "n_tables"), ("long long", "table_size"),
        ("long long", "n_rows"), ("long long", "n_weighted"), ("long long", "delay_bits"),
        ("unsigned long long", "find"),  # row and number of a draw
    ],
    "Current": [
        ("long long", "begin"), ("long long", "end"),  # the neurons that it may reach
        ("const unsigned char*", "members"),  # which of these it does reach; none: all
        ("long long", "n_steps"), ("const long long*", "steps"), ("const double*", "values"),
        ("double", "mean"), ("double", "std"), ("long long", "first"), ("long long", "last"),
        ("long long", "every"), ("unsigned long long", "key"),  # of noise: no steps
    ],
    "Population": [
        ("long long", "kind"), ("long long", "n"),
        ("long long", "source"),  # index of its first member among all sources of spikes
        ("long long", "channel"),  # its first channel of the ring; then one row a receptor
        ("long long", "first_tile"), ("long long", "recorded"), ("unsigned long long", "key"),
        ("REAL*", "state"), ("int*", "until"),  # [state][neuron]; end of refractory time
        ("REAL*", "substep"),  # of the adaptive method
        ("const REAL*", "scalars"), ("const REAL*", "arrays"),  # coefficients, as emit.py numbers
        ("const Current*", "currents"), ("long long", "n_currents"), ("const double*", "scale"),
        ("long long", "first_group"), ("long long", "n_groups"),  # of its rows of synapses
        ("long long", "first_drawn"), ("long long", "n_drawn"),  # projections drawn at delivery
    ],
    "Process": [
        ("long long", "kind"), ("long long", "n"), ("long long", "first_unit"),
        ("long long", "channel"), ("long long", "first_target"), ("const long long*", "targets"),
        ("double", "weight"), ("long long", "amount"), ("unsigned long long", "key"),
        ("const unsigned*", "cdf"), ("long long", "n_cdf"), ("long long", "block"),
        ("const double*", "accept"), ("const long long*", "changes"),
        ("const double*", "factors"), ("long long", "n_changes"),
        ("const long long*", "given"), ("const long long*", "given_first"),
    ],
    "Sample": [
        ("const REAL*", "state"), ("const long long*", "ids"), ("long long", "n"),
        ("long long", "every"), ("long long", "first"), ("REAL*", "out"), ("long long", "stride"),
    ],
    "Net": [
        ("long long*", "clock"),  # steps done; steps done when recordings were last fetched
        ("long long", "n_tiles"), ("long long", "n_units"),
        ("long long", "n_samples"), ("long long", "n_slots"), ("long long", "n_channels"),
        ("long long", "delay_bits"),
        ("const Population*", "populations"), ("const int*", "tile_population"),
        ("const Process*", "processes"), ("const int*", "unit_process"),
        ("const Sample*", "samples"),
        ("ns_amount*", "ring"), ("const long long*", "row"),  # of each row: its first synapse
        ("const ns_synapse*", "synapses"), ("const ns_weight*", "weights"),
        ("long long", "n_weighted"),  # synapses with a weight of their own: the first ones
        ("const Group*", "groups"), ("const Projection*", "drawn"),
        ("Item*", "items"), ("unsigned long long*", "n_items"),
        ("unsigned*", "records"), ("unsigned long long*", "n_records"),
        ("unsigned long long*", "n_spikes"), ("unsigned long long*", "n_events"),
        ("unsigned long long*", "failure"),
        ("const struct Rule*", "rules"), ("long long", "n_rules"),  # plastic projections
        ("struct Spike*", "spikes"), ("unsigned long long*", "plastic"),  # see plastic.cu
    ],
}  # fmt: skip


def _numpy_type(c_type: str) -> str:
    if c_type.endswith("*"):
        return "u8"
    return {
        "long long": "i8", "unsigned long long": "u8", "int": "i4", "unsigned": "u4",
        "double": "f8",
    }[c_type]  # fmt: skip


def record_type(fields: Fields) -> np.dtype:
    """Return the NumPy type of a struct; a field may be an array, such as ``end[4]``."""
    parts = []
    for c_type, field in fields:
        name, _, length = field.rstrip("]").partition("[")
        parts.append((name, _numpy_type(c_type), (int(length),) if length else ()))
    return np.dtype(parts)


def copy_function(name: str) -> str:
    """Return C source of a function that copies a struct field by field.

    Unlike an assignment it lets the compiler keep in registers what is used, and drop the rest.
    """
    lines = "\n".join(f"  to.{field} = from.{field};" for _, field in _FIELDS[name])
    head = f"__device__ __forceinline__ void ns_copy({name}& to, const {name}& from)"
    return f"{head} {{\n{lines}\n}}"


def _dtype(name: str) -> np.dtype:
    return record_type(_FIELDS[name])


ITEM, GROUP, PROJECTION, BUILD, CURRENT, POPULATION, PROCESS, SAMPLE, NET = (
    _dtype(name)
    for name in (
        "Item", "Group", "Projection", "Build", "Current", "Population", "Process", "Sample", "Net",
    )
)  # fmt: skip
#: What `measure` finds, by place: see build.cu.
MEASURED = (
    "N_SYNAPSES", "LONGEST_DELAY", "N_SHORT", "FIRST_SHORT", "SMALLEST", "SHORT_COLUMN",
    "POSITIVE", "NEGATIVE", "LEAST",
)  # fmt: skip
#: Ways in which rows are filled (`neurosim.lower.rows.Rows.mode`), as kernels number them.
MODES = ("draw", "all", "one", "skip", "unique", "list")
#: Kinds of processes.
DENSE, SPARSE, GIVEN = 0, 1, 2


def declarations(structs: Mapping[str, Fields] = _FIELDS) -> str:
    """Return structs as C source: by default those that all kernels know."""
    lines = []
    for name, fields in structs.items():
        lines += [f"struct {name} {{", *(f"  {c} {field};" for c, field in fields), "};"]
    return "\n".join(lines)
