"""The records of the owner variant, beside those that all kernels know."""

from __future__ import annotations

from neurosim.engines.gpu.structs import record_type

#: Classes of delays that the ring of a block is divided into.
CLASSES = 4

#: Forms of synapses, see `OwnedRows`.
TABLE, HALF, WIDE = 0, 1, 2

STRUCTS = {
    "Division": [
        ("long long", "n_synapses"), ("long long", "n_rows"), ("long long", "n_owners"),
        ("const int*", "row_of"), ("unsigned*", "longest"),  # row of each channel; of each row
        ("const long long*", "begins"), ("const unsigned*", "homes"), ("const int*", "widths"),
        ("const unsigned*", "codes"),  # of each group of rows
        ("ns_segment*", "segments"), ("unsigned*", "words"), ("ns_owned*", "weights"),
    ],
    # four words of a dense process, and the place that each adds to (16 bits; 0xffff: none)
    "Draw": [
        ("unsigned", "process"), ("unsigned", "counter"), ("unsigned", "low"), ("unsigned", "high"),
    ],
    "Piece": [("int", "process"), ("int", "number")],  # a block of a sparse process
    # of a sample: for each neuron of the population, the columns that its state goes to
    "Wanted": [
        ("long long", "source"),  # the first one of the population
        ("const int*", "first"), ("const int*", "columns"),
    ],
    "Owner": [
        # of the ring, by class: where its places end, how many they are, those of one step
        ("int", f"end[{CLASSES}]"), ("int", f"size[{CLASSES}]"), ("int", f"width[{CLASSES}]"),
        # bytes at which parts of shared memory begin
        ("int", "at_scales"), ("int", "at_ring"), ("int", "at_states"), ("int", "at_scalars"),
        ("int", "at_table"), ("int", "at_places"),
        ("long long", "n_rows"), ("long long", "n_scalars"), ("long long", "n_table"),
        ("long long", "n_sources"), ("long long", "group_bits"),
        ("const int*", "places"), ("const double*", "scales"),  # of each row of channels
        ("const REAL*", "scalars"), ("const ns_owned*", "table"),
        ("const int*", "neurons"),  # [owner][thread]: number in its population, -1 for none
        ("const int*", "populations"),  # of each thread
        ("const int*", "first_thread"), ("const int*", "first_row"), ("const int*", "first_scalar"),
        ("const int*", "n_states"),  # these four of each population
        ("const unsigned*", "homes"),  # of each channel: owner << 16 | place
        ("const ns_segment*", "segments"),  # [source][owner]: its first synapse, and their end
        ("const unsigned*", "words"),  # code << 16 | place
        ("const ns_owned*", "weights"),
        ("const float*", "factors"), ("double", "unit"),  # of each population; of halves
        ("const Draw*", "draws"), ("const int*", "first_draw"),  # of each owner
        ("const Piece*", "blocks"), ("const int*", "first_block"),
        ("const Wanted*", "wanted"),
        # payload << 32 | source; the payload is the count, times the factor in single precision
        # where sums are not deterministic
        ("unsigned long long*", "sent"), ("unsigned*", "n_sent"),
    ],
}  # fmt: skip
DIVISION, DRAW, PIECE, WANTED, OWNER = (
    record_type(STRUCTS[name]) for name in ("Division", "Draw", "Piece", "Wanted", "Owner")
)
