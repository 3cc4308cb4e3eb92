"""The owner variant: blocks keep their neurons and the input to come for a whole launch.

A second way to run the same network. Each block owns a share of every population: states in
registers (or shared memory), input to come in shared memory, synapses divided by owner. Between
launches everything lies where the ring variant has it, so that whatever reads or writes the state
of a network knows nothing of owners.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosim.engines.gpu.device import Grid
from neurosim.engines.gpu.network import DeviceNetwork
from neurosim.engines.gpu.owner_draws import owned_blocks, owned_draws, process_targets
from neurosim.engines.gpu.owner_layout import owner_layout
from neurosim.engines.gpu.owner_rows import OwnedRows
from neurosim.engines.gpu.owner_source import OwnerFormat, owner_text
from neurosim.engines.gpu.owner_structs import OWNER, WANTED
from neurosim.errors import EngineUnavailableError, NetworkError, NetworkSizeError
from neurosim.lower.plan import Plan

_MOST_THREADS, _MOST_PLACES, _WARP = 1024, 0xFFFF, 32
#: Registers of a multiprocessor, of 32 bits; what a step takes beside states, before and after it.
_REGISTERS, _OTHER_REGISTERS = 65536, 48
#: Shared memory that the system takes of each block.
_RESERVED = 1024


def check_owner(plan: Plan) -> None:
    """Raise NetworkError if the owner variant cannot run a network, whatever its size."""
    for c in plan.connections:
        if c.plasticity is not None:
            raise NetworkError(
                f"GPU(variant='owner') has static synapses only, but those of projection "
                f"{c.name!r} are plastic ({c.plasticity.spec.name}). Use variant='ring'."
            )


@dataclass(frozen=True)
class _Shared:
    """Bytes of the parts of a block's shared memory, and which of them begin where."""

    parts: dict[str, int]

    @property
    def size(self) -> int:
        return sum(self.parts.values())

    def begin(self, name: str) -> int:
        names = list(self.parts)
        return sum(self.parts[n] for n in names[: names.index(name)])


class OwnerVariant:
    """Runs a network on the device with one owner for each neuron.

    Parameters
    ----------
    network : DeviceNetwork

    Raises
    ------
    NetworkError
        If synapses are plastic, or rows are drawn when they are delivered.
    NetworkSizeError
        If a block's share does not fit into a multiprocessor.
    EngineUnavailableError
        If the device cannot launch cooperatively.
    """

    def __init__(self, network: DeviceNetwork) -> None:
        check_owner(network.plan)
        if network.synapses.drawn:
            raise NetworkError(
                "GPU(variant='owner') stores all synapses, so procedural must be False; use "
                "variant='ring' for rows that are drawn when they are delivered."
            )
        self._network, self._device, self._plan = network, network.device, network.plan
        if not self._device.is_cooperative:
            raise EngineUnavailableError(
                f"engine 'gpu': {self._device.describe()} cannot launch cooperatively, which "
                "GPU(variant='owner') needs; use variant='ring'."
            )
        self._kept: list[Any] = []
        self._emitters = network.emitters
        self._kinds = list(dict.fromkeys(network.bodies.values()))
        self._n_states = [len(p.model.states) if p.model else 0 for p in self._plan.populations]
        self._rows = OwnedRows(network)
        self._scalars = [
            list(self._emitters[p.index].coefficient.scalars) if p.model else []
            for p in self._plan.populations
        ]
        self._divide()
        self._record = self._allocate()
        self._compile()

    def launch(self, n_steps: int) -> None:
        """Run some steps; what they need has been prepared (`DeviceNetwork.begin`)."""
        arguments = (self._network.net, self._record, np.int32(n_steps))
        self._program.launch("run", self._grid, arguments, cooperative=True)

    # ---- what fits

    def _divide(self) -> None:
        """Choose the number of owners: as many as multiprocessors, or twice as many."""
        plan, layout, device = self._plan, self._network.layout, self._device
        kinds = [self._kinds.index(self._network.bodies[p.index]) for p in plan.populations]
        longest = self._rows.longest_delays()
        most = max(1, -(-layout.n_sources // _WARP))
        refusals = []
        for self._each in (1, 2):
            n_owners = min(self._each * device.multiprocessors, most)
            self._layout = owner_layout(plan, layout, kinds, longest, n_owners)
            limit = (device.shared_bytes + _RESERVED) // self._each - _RESERVED
            self._shared = self._shared_memory()
            if (
                self._layout.n_threads <= _MOST_THREADS
                and self._layout.n_places <= _MOST_PLACES
                and self._shared.size <= limit
            ):
                return
            refusals.append(self._too_large(limit, int(longest.max(initial=1))))
        raise NetworkSizeError(max(refusals)[1])

    def _shared_memory(self) -> _Shared:
        network, layout = self._network, self._layout
        real, amount = network.real.itemsize, network.amount.itemsize
        states = max(self._n_states) * real
        registers = _REGISTERS // (self._each * max(layout.n_threads, _WARP))
        self._shared_states = 2 * states // 4 + _OTHER_REGISTERS > registers
        parts = {
            "scales": 8 * layout.places.size,
            "ring": amount * layout.n_places,
            "states": states * layout.n_threads if self._shared_states else 0,
            "scalars": real * sum(map(len, self._scalars)),
            "table": self._rows.table.nbytes,
            "places": 4 * layout.places.size,
        }
        return _Shared({name: -(-size // 8) * 8 for name, size in parts.items()})

    def _too_large(self, limit: int, longest: int) -> tuple[int, str]:
        """Return how many neurons would fit, and what to say."""
        layout, shared, n = self._layout, self._shared, self._network.layout.n_sources
        parts = shared.parts
        fits = min(_MOST_THREADS / layout.n_threads, limit / max(1, shared.size),
                   _MOST_PLACES / max(1, layout.n_places))  # fmt: skip
        return int(n * fits), (
            f"engine 'gpu': GPU(variant='owner') divides the network among {layout.n_owners} "
            f"blocks, each with {layout.n_threads} threads and {_kib(shared.size)} of shared "
            f"memory (input to come, up to {longest} steps: {_kib(parts['ring'])}; states: "
            f"{_kib(parts['states'])}), but {self._device.describe()} has {_MOST_THREADS} threads "
            f"and {_kib(limit)} for a block. About {int(n * fits)} of {n} neurons would fit. Use "
            f"{self._remedies()}."
        )

    def _remedies(self) -> str:
        ways = ["variant='ring'", "shorter delays"]
        if self._network.real.itemsize == 8:
            ways.append("precision='float32'")
        if self._network.amount.kind == "i":
            narrow = self._network.form.narrow
            ways.append(f"deterministic={False if narrow else 'int32'!r}")
        return ", ".join(ways[:-1]) + f" or {ways[-1]}"

    # ---- memory

    def _put(self, values: np.ndarray) -> int:
        array = self._device.to_device(values)
        self._kept.append(array)
        return self._device.address(array)

    def _allocate(self) -> np.ndarray:
        """Return the record that kernels take, everything it refers to being on the device."""
        network, layout, device = self._network, self._layout, self._device
        rows, n_synapses = self._rows.divide(layout), network.synapses.n_synapses
        self._kept.append(rows)
        network.synapses.drop()
        network.nbytes += self._rows.nbytes - network.synapses.nbytes
        unit = network.synapses.whole if network.form.deterministic else 1.0
        targets = process_targets(self._plan, network.layout)
        draws = owned_draws(network.processes, targets, layout.homes, layout.n_owners)
        blocks = owned_blocks(network.processes, targets, layout.homes, layout.n_owners)
        n_sources = network.layout.n_sources
        scalars = np.array([x for values in self._scalars for x in values], network.real)
        first_scalar = np.cumsum([0, *map(len, self._scalars)]).astype(np.int32)
        sent = device.empty(2 * n_sources, np.uint64)
        self._kept.append(sent)
        record = np.zeros(1, OWNER)
        for name, value in {
            "end": layout.ends, "size": layout.sizes, "width": layout.lines,
            **{f"at_{name}": self._shared.begin(name) for name in self._shared.parts},
            "n_rows": layout.places.size, "n_scalars": scalars.size,
            "n_table": self._rows.table.size, "n_sources": n_sources,
            "group_bits": _group_bits(n_synapses, n_sources * layout.n_owners),
            "places": self._put(layout.places),
            "scales": self._put(np.concatenate(network.synapses.scale)),
            "scalars": self._put(scalars), "table": self._put(self._rows.table),
            "neurons": self._put(layout.neurons), "populations": self._put(layout.populations),
            "first_thread": self._put(layout.first_thread),
            "first_row": self._put(layout.first_row), "first_scalar": self._put(first_scalar),
            "n_states": self._put(np.array(self._n_states, np.int32)),
            "homes": self._put(layout.homes), "factors": self._put(self._rows.factors),
            "unit": unit, **{name: device.address(array) for name, array in rows.items()},
            "draws": self._put(draws[0]), "first_draw": self._put(draws[1]),
            "blocks": self._put(blocks[0]), "first_block": self._put(blocks[1]),
            "wanted": self._put(self._wanted()), "sent": device.address(sent),
            "n_sent": self._put(np.zeros(3, np.uint32)),
        }.items():  # fmt: skip
            record[name] = value
        return record

    def _wanted(self) -> np.ndarray:
        """Return for each sample of `DeviceNetwork` which neurons it wants, and where."""
        wanted = []
        for r in self._plan.states:
            p = self._plan.populations[r.population]
            columns = np.argsort(r.ids, kind="stable")
            first = np.searchsorted(r.ids[columns], np.arange(p.n + 1))
            record = np.zeros((), WANTED)
            record["source"] = self._network.layout.source[p.index]
            record["first"] = self._put(first.astype(np.int32))
            record["columns"] = self._put(columns.astype(np.int32))
            wanted += [record] * len(r.names)
        return np.array(wanted, WANTED)

    def _compile(self) -> None:
        network, layout, device = self._network, self._layout, self._device
        owner = OwnerFormat(
            max(self._n_states), self._shared_states, self._rows.form,
            self._rows.wide_segments, layout.n_threads, self._each,
        )  # fmt: skip
        source = owner_text(self._kinds, network.form, owner)
        self._program = device.compile(source, exact=network.form.deterministic)
        self._grid = Grid(layout.n_owners, layout.n_threads, device.chunk, self._shared.size)
        if not self._program.admit("run", self._grid):
            raise EngineUnavailableError(
                f"engine 'gpu': {device.describe()} cannot hold {layout.n_owners} blocks of "
                f"{layout.n_threads} threads and {_kib(self._shared.size)} at once, which "
                "GPU(variant='owner') needs; use variant='ring'."
            )


def _group_bits(n_synapses: int, n_segments: int) -> int:
    """Return the logarithm of how many threads read a segment: a half to a whole of its length."""
    mean = n_synapses / max(1, n_segments)
    return int(np.clip(np.ceil(np.log2(max(1.0, mean))), 2, 5))


def _kib(size: int) -> str:
    return f"{size / 1024:.1f} KiB"
