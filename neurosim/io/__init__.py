"""Reading and writing files: SONATA, NWB, Neo, NumPy archives and CSV; fetching them."""

from neurosim.io.download import download
from neurosim.io.neo import from_neo, to_neo
from neurosim.io.nwb import read_nwb, write_nwb
from neurosim.io.sonata import read_spikes, spike_populations, write_spikes
from neurosim.io.sonata_report import read_report, write_report
from neurosim.io.spike_writer import SpikeWriter
from neurosim.io.tables import (
    read_spikes_csv,
    read_spikes_npz,
    write_spikes_csv,
    write_spikes_npz,
)

__all__ = [
    "SpikeWriter",
    "download",
    "from_neo",
    "read_nwb",
    "read_report",
    "read_spikes",
    "read_spikes_csv",
    "read_spikes_npz",
    "spike_populations",
    "to_neo",
    "write_nwb",
    "write_report",
    "write_spikes",
    "write_spikes_csv",
    "write_spikes_npz",
]
