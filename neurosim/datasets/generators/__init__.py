"""Event data made on the spot: tasks of the literature, each recording reproducible by itself."""

from neurosim.datasets.generators.base import Generated
from neurosim.datasets.generators.edges import moving_edges
from neurosim.datasets.generators.motifs import timed_motifs
from neurosim.datasets.generators.patterns import delayed_coincidence, poisson_patterns
from neurosim.datasets.generators.randman import randman
from neurosim.datasets.generators.saccades import saccades
from neurosim.datasets.generators.textures import moving_texture
from neurosim.datasets.generators.yin_yang import yin_yang

__all__ = [
    "Generated",
    "delayed_coincidence",
    "moving_edges",
    "moving_texture",
    "poisson_patterns",
    "randman",
    "saccades",
    "timed_motifs",
    "yin_yang",
]
