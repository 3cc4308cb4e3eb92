"""Checkpoints: a whole simulation in one HDF5 file, without pickle, for any engine and machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.errors import FileFormatError
from neurosim.io._hdf5 import opened, require_folder
from neurosim.io.tree import read_tree, write_tree
from neurosim.network import Network, Spikes, State, Weights

FORMAT, VERSION = "neurosim checkpoint", 1


def save(simulation: Any, runner: Any, recorder: Any, path: str | Path) -> None:
    """Write a checkpoint; an existing file is replaced only when the new one is complete."""
    import h5py

    path = Path(path)
    require_folder(path)
    aside = path.with_name(path.name + ".part")
    with h5py.File(aside, "w") as file:
        file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
        write_tree(
            file.create_group("simulation"),
            {
                "dt": simulation.dt,
                "seed": simulation.seed,
                "connectivity_seed": simulation.connectivity_seed,
                "engine": simulation.engine.name,
                "options": dict(vars(simulation.engine)),
                "record": [_record_to_dict(r) for r in simulation.record],
            },
        )
        write_tree(file.create_group("network"), simulation.network.to_dict())
        write_tree(file.create_group("state"), runner.state())
        write_tree(file.create_group("recorded"), recorder.state())
    os.replace(aside, path)


def load(cls: Any, path: str | Path, engine: Any) -> Any:
    """Return the simulation of a checkpoint (see `Simulation.load`)."""
    from neurosim.engines.registry import engine_of

    with opened(path, "checkpoint") as file:
        if file.attrs.get("format") != FORMAT:
            raise FileFormatError(f"{path}: this is no neurosim checkpoint.")
        if int(file.attrs["version"]) > VERSION:
            raise FileFormatError(
                f"{path}: checkpoint version {file.attrs['version']}, but this neurosim reads up "
                f"to version {VERSION}; update neurosim."
            )
        missing = {"simulation", "network", "state", "recorded"} - set(file)
        if missing:
            raise FileFormatError(f"{path}: the checkpoint lacks {', '.join(sorted(missing))}.")
        about = read_tree(file["simulation"])
        network = Network.from_dict(read_tree(file["network"]))
        state, recorded = read_tree(file["state"]), read_tree(file["recorded"])
    if engine is None:
        engine = type(engine_of(about["engine"]))(**about["options"])
    simulation = cls(
        network, dt=about["dt"], seed=about["seed"], connectivity_seed=about["connectivity_seed"],
        record=[_record_from_dict(r, network) for r in about["record"]], engine=engine,
    )  # fmt: skip
    simulation.restore(state, recorded)
    return simulation


def _record_to_dict(record: Any) -> dict[str, Any]:
    if isinstance(record, Weights):
        return {"kind": "weights", "name": record.projection.name, "interval": record.interval}
    target = {"name": record.target.name}
    if not record.target.is_whole:
        target["ids"] = np.asarray(record.target.ids)
    if isinstance(record, Spikes):
        return target | {"kind": "spikes", "to": None if record.to is None else str(record.to)}
    return target | {"kind": "state", "names": list(record.names), "interval": record.interval}


def _record_from_dict(data: dict[str, Any], network: Network) -> Any:
    if data["kind"] == "weights":
        return Weights(network.projections[data["name"]], interval=data["interval"])
    target: Any = network.populations[data["name"]]
    if "ids" in data:
        target = target[data["ids"]]
    if data["kind"] == "spikes":
        return Spikes(target, to=data["to"])
    return State(target, data["names"], data["interval"])
