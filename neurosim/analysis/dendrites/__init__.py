"""How reliably a dendritic segment recognises sparse patterns: theory, and sampling beside it.

A population of n cells has exactly a active ones at any moment. A segment with s synapses, on a
random s of the a cells of the pattern it stores, answers when at least theta of them are active.
Source of all of it: Ahmad & Hawkins (2016), How do neurons operate on sparse distributed
representations?, arXiv:1601.00720.
"""

from neurosim.analysis.dendrites.detection import (
    any_match,
    exact_false_match,
    exact_false_negative,
    false_match,
    false_negative,
    leading_term,
    overlap_set,
)
from neurosim.analysis.dendrites.sampling import (
    Estimate,
    estimate,
    random_subsets,
    sample_matches,
    sample_overlaps,
)
from neurosim.analysis.dendrites.thresholds import (
    Optimum,
    ThresholdErrors,
    lowest_threshold,
    optimal_threshold,
    threshold_errors,
)
from neurosim.analysis.dendrites.unions import (
    pattern_union_match,
    union_false_match,
    union_synapses,
)

__all__ = [
    "Estimate",
    "Optimum",
    "ThresholdErrors",
    "any_match",
    "estimate",
    "exact_false_match",
    "exact_false_negative",
    "false_match",
    "false_negative",
    "leading_term",
    "lowest_threshold",
    "optimal_threshold",
    "overlap_set",
    "pattern_union_match",
    "random_subsets",
    "sample_matches",
    "sample_overlaps",
    "threshold_errors",
    "union_false_match",
    "union_synapses",
]
