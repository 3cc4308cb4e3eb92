"""State traces as SONATA reports: ``/report/<population>/data`` with its mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neurosim.errors import FileFormatError, ParameterError
from neurosim.io._hdf5 import dataset, group, opened, require_folder, signed, text
from neurosim.io.sonata import choose_population
from neurosim.results._arrays import FloatArray, IntArray
from neurosim.results.traces import Traces

KIND = "a SONATA report"


def write_report(path: str | Path, traces: Traces, state: str) -> None:
    """Write one state of some traces to a new SONATA report file, in single precision.

    Parameters
    ----------
    path : str or Path
        An existing file is replaced.
    traces : Traces
        Sampled at equal intervals.
    state : str
        The state to write; a report holds one.

    Raises
    ------
    UnknownNameError
        If the traces have no such state.
    ParameterError
        If the samples are not equally spaced, or there are none.
    """
    import h5py

    values, n_times, step = traces[state], len(traces.t), traces.interval
    if n_times == 0 or not np.allclose(np.diff(traces.t), step, rtol=1e-6, atol=0.0):
        raise ParameterError(
            f"{path}: a report needs equally spaced samples; those of traces {traces.name!r} "
            f"are not ({n_times} samples)."
        )
    require_folder(path)
    with h5py.File(path, "w") as file:
        report = file.create_group(f"report/{traces.name}")
        # libsonata takes no double precision here.
        data = report.create_dataset("data", data=values.astype(np.float32))
        data.attrs["units"] = traces.units[state]
        data.attrs["state"] = state
        mapping = report.create_group("mapping")
        mapping["node_ids"] = traces.ids.astype(np.uint64)
        mapping["node_ids"].attrs.create("sorted", int(np.all(np.diff(traces.ids) > 0)), dtype="u1")
        mapping["index_pointers"] = np.arange(len(traces.ids) + 1, dtype=np.uint64)
        mapping["element_ids"] = np.zeros(len(traces.ids), np.uint32)
        first = float(traces.t[0])
        mapping["time"] = np.array([first, first + n_times * step, step])
        mapping["time"].attrs["units"] = "ms"


def read_report(path: str | Path, population: str | None = None) -> Traces:
    """Read a SONATA report with one value a neuron.

    Parameters
    ----------
    path : str or Path
    population : str, optional
        Needed only where the file holds several.

    Returns
    -------
    Traces
        With one state; it is called "value" where the file does not name it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is damaged, lacks something, or has several values a neuron.
    UnknownNameError, ParameterError
        If the population does not exist, or there are several and none was named.
    """
    with opened(path, KIND) as file:
        reports = group(file, "report", path)
        name = choose_population(path, list(reports), population)
        report = group(reports, name, path)
        data = dataset(report, "data", path, ndim=2, kinds="f")
        mapping = group(report, "mapping", path)
        ids = _one_value_a_neuron(path, mapping, data.shape[1])
        t = _times(path, dataset(mapping, "time", path, kinds="fiu"), data.shape[0])
        state = text(data.attrs.get("state", "value"))
        units = {state: text(data.attrs.get("units", "1"))}
        return Traces({state: data[:]}, t, ids, units, name)


def _one_value_a_neuron(path: str | Path, mapping: Any, n_values: int) -> IntArray:
    ids = signed(dataset(mapping, "node_ids", path)[:], path, "node_ids")
    pointers = dataset(mapping, "index_pointers", path)[:]
    if len(pointers) != len(ids) + 1:
        raise FileFormatError(
            f"{path}: {len(ids)} node_ids need {len(ids) + 1} index_pointers, not {len(pointers)}."
        )
    if n_values != len(ids) or not np.array_equal(pointers, np.arange(len(ids) + 1)):
        raise FileFormatError(
            f"{path}: {n_values} values for {len(ids)} neurons; only reports with one value a "
            "neuron (soma reports) can be read."
        )
    return ids


def _times(path: str | Path, time: Any, n_times: int) -> FloatArray:
    if time.shape != (3,):
        raise FileFormatError(
            f"{path}: {time.name} has shape {time.shape}; start, stop and step are expected."
        )
    start, stop, step = np.asarray(time[:], np.float64)
    if not step > 0 or abs((stop - start) / step - n_times) > 0.5:
        raise FileFormatError(
            f"{path}: {time.name} = [{start}, {stop}, {step}] does not fit the data's {n_times} "
            "samples."
        )
    return np.asarray(start + step * np.arange(n_times), np.float64)
