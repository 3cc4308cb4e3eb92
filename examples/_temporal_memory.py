"""Spiking temporal memory: the network, its stimulus, and how well it predicts.

Every item of a sequence has a subpopulation of excitatory cells and one inhibitory cell. An item
is shown as one external spike that makes all of them fire, unless some were predicted: those fire
first, excite the inhibitory cell, and it silences the others. Between all excitatory cells there
are potential synapses that structural plasticity makes mature, so that the cells of one item
learn to predict those of the next. Equations and numbers: Bouhadjar, Wouters, Diesmann & Tetzlaff
(2022), PLoS Comput. Biol. 18:e1010233, and the authors' reference implementation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import neurosim as ns

DELTA_T = 40.0  # between items [ms]
GAP = 2.5 * DELTA_T  # from the last item of a sequence to the first of the next
LEAD = 20.0  # dendritic cue of the first item before its external spike
RHO = 20  # synchronous spikes that make the inhibitory cell fire; wanted active cells
CUED = 30  # cells of the first item that are made predictive
START = 40.0  # time of the first item
SAMPLE = 20.0  # interval at which dendritic action potentials are recorded
CLOSE = 20.0  # spikes this soon after an item belong to it
I_CELL = {
    "E_L": 0.0, "V_reset": 0.0, "V_th": 15.0, "t_ref": 2.0, "tau_m": 5.0, "C_m": 250.0,
    "tau_syn_ex": 0.5, "tau_syn_in": 1.65,
}  # fmt: skip

#: Sequences, excitatory cells of a subpopulation, density of potential synapses, rule.
TASKS = {
    "reduced": (("ADBE", "FDBC"), 150, 0.2, "stdsp_homeostasis"),
    "classic": (
        ("ENDIJ", "LNDIK", "GJMCN", "FJMCI", "BCKHI", "ACKHF"), 150, 0.2, "stdsp_homeostasis",
    ),
    "I": (("AFBD", "AFCE"), 240, 0.15, "stdsp"),
    "II": (("AFBD", "AFCE", "AFGH", "AFIJ", "AFKL"), 240, 0.15, "stdsp"),
}  # fmt: skip


def psc(psp: float, tau_m: float, tau_syn: float, capacitance: float) -> float:
    """Return the exponential current [pA] whose potential peaks at `psp` [mV]."""
    ratio = tau_m / tau_syn
    peak = ratio ** (-tau_syn / (tau_m - tau_syn)) - ratio ** (-tau_m / (tau_m - tau_syn))
    return psp * capacitance * (tau_m - tau_syn) / (tau_m * tau_syn * peak)


@dataclass(frozen=True)
class Task:
    """Sequences of items, and the network that learns them.

    Parameters
    ----------
    sequences : sequence of str
        Every character is an item.
    cells : int
        Excitatory cells of a subpopulation.
    seed : int
    rule : SynapseModel
        Plasticity between excitatory cells.
    density : float
        Potential synapses onto a cell, as part of all excitatory cells.
    """

    sequences: Sequence[str]
    cells: int
    seed: int
    rule: ns.models.SynapseModel
    density: float

    @property
    def items(self) -> list[str]:
        """All items, sorted."""
        return sorted(set("".join(self.sequences)))

    @property
    def firsts(self) -> list[str]:
        """Items with which sequences begin."""
        return sorted({s[0] for s in self.sequences})

    @property
    def period(self) -> float:
        """Duration of an episode, in which every sequence is shown once [ms]."""
        return sum((len(s) - 1) * DELTA_T + GAP for s in self.sequences)

    def soma(self, **parameters: float) -> ns.NeuronModel:
        """Return the excitatory cell; it remembers its predictions for about an episode."""
        return ns.models.iaf_psc_exp_nonlineardendrite(tau_h=self.period, **parameters)

    def onsets(self, episode: int) -> list[np.ndarray]:
        """Return when the items of each sequence are shown in an episode [ms]."""
        begin, onsets = START + episode * self.period, []
        for sequence in self.sequences:
            onsets.append(begin + DELTA_T * np.arange(len(sequence)))
            begin += (len(sequence) - 1) * DELTA_T + GAP
        return onsets

    def followers(self, sequence: str, k: int) -> set[str]:
        """Return the items that may follow the first `k` + 1 items of a sequence."""
        prefix = sequence[: k + 1]
        return {s[k + 1] for s in self.sequences if s.startswith(prefix) and len(s) > k + 1}

    def cells_of(self, item: str) -> slice:
        """Return the excitatory cells of an item."""
        first = self.items.index(item) * self.cells
        return slice(first, first + self.cells)

    def cued(self, item: str) -> np.ndarray:
        """Return the cells of a first item that are made predictive before it is shown."""
        rng = np.random.default_rng([self.seed, self.items.index(item)])
        chosen = rng.choice(self.cells, min(CUED, self.cells), replace=False)
        return np.sort(chosen) + self.cells_of(item).start


def network(task: Task, soma: ns.NeuronModel, shown: list, cues: list) -> ns.Network:
    """Return cells, inhibition and stimulus, without synapses between excitatory cells.

    `shown` and `cues` are pairs (time, item).
    """
    net, items, n = ns.Network(), task.items, task.cells
    exc = net.population(len(items) * n, soma, name="exc")
    inh = net.population(len(items), ns.models.iaf_psc_exp(**I_CELL), name="inh", V_m=0.0)
    cells, owner = np.arange(exc.n), np.arange(exc.n) // n
    c, s = I_CELL, soma.values
    fires = psc(1.2 * c["V_th"] / RHO, c["tau_m"], c["tau_syn_ex"], c["C_m"])
    silences = psc(-2.0 * 20.0, s["tau_m"], s["tau_syn3"], s["C_m"])
    net.connect(exc, inh, ns.Explicit(cells, owner), weight=fires, delay=0.1)
    net.connect(inh, exc, ns.Explicit(owner, cells), weight=silences, delay=0.1)
    if shown:
        times, ids = zip(*((t, items.index(i)) for t, i in shown), strict=True)
        source = net.population(len(items), ns.models.spike_source(times=times, ids=ids), "items")
        weight = psc(1.1 * 20.0, s["tau_m"], s["tau_syn1"], s["C_m"])
        net.connect(source, exc, ns.Explicit(owner, cells), weight=weight, delay=0.1)
    times, ids = zip(*((t, task.firsts.index(i)) for t, i in cues), strict=True)
    source = net.population(len(task.firsts), ns.models.spike_source(times=times, ids=ids), "cues")
    chosen = [task.cued(i) for i in task.firsts]
    pairs = ns.Explicit(
        np.repeat(np.arange(len(chosen)), [len(x) for x in chosen]), np.concatenate(chosen)
    )
    weight = 1.4 * s["theta_dAP"]
    net.connect(source, exc, pairs, weight=weight, delay=0.1, receptor="dend")
    return net


def simulation(task: Task, episodes: int, engine: object = "cpu") -> ns.Simulation:
    """Return the simulation that shows the sequences for some episodes."""
    shown, cues = [], []
    for episode in range(episodes):
        for sequence, onsets in zip(task.sequences, task.onsets(episode), strict=True):
            shown += zip(onsets, sequence, strict=True)
            cues.append((onsets[0] - LEAD, sequence[0]))
    net = network(task, task.soma(), shown, cues)
    exc = net.populations["exc"]
    rule = ns.FixedIndegree(int(task.density * exc.n), autapses=False, multapses=False)
    net.connect(exc, exc, rule, weight=ns.Uniform(0.0, 8.0), delay=2.0, receptor="dend",
                synapse=task.rule, name="potential")  # fmt: skip
    record = [ns.Spikes(exc), ns.State(exc, ["dAP"], interval=SAMPLE)]
    return ns.Simulation(net, seed=task.seed, record=record, engine=engine)


@dataclass(frozen=True)
class Scores:
    """How well each episode was predicted, averaged over the items that could be.

    Attributes
    ----------
    error : (n_episodes,) float64
        Euclidean distance between the subpopulations that are predicted and those that may follow.
    last : (n_episodes,) float64
        The error for the last items of the sequences alone, which is the published measure.
    false_positives, false_negatives : (n_episodes,) float64
        Subpopulations predicted wrongly, and not predicted.
    active : (n_episodes, n_shown) int64
        Cells that answered to each item.
    who : list of list of (n_active,) int64 array
        The cells that answered in the last episode, by sequence and position.
    """

    error: np.ndarray
    last: np.ndarray
    false_positives: np.ndarray
    false_negatives: np.ndarray
    active: np.ndarray
    who: list[list[np.ndarray]]

    @property
    def learned(self) -> int | None:
        """The episode after which the error stays 0, or None."""
        wrong = np.flatnonzero(self.error > 0)
        last = int(wrong[-1]) + 1 if wrong.size else 0
        return last if last < self.error.size else None


def score(task: Task, results: ns.Results, episodes: int) -> Scores:
    """Return how well a run predicted its sequences."""
    spikes, traces = results.spikes["exc"], results.traces["exc"]
    order = np.argsort(spikes.times, kind="stable")
    times, ids = spikes.times[order], spikes.ids[order]
    predicted = traces["dAP"].reshape(len(traces.t), len(task.items), task.cells) > 0
    outputs = predicted.sum(axis=2) >= RHO / 2
    wrong, missing, active, who = [], [], [], []
    is_last = np.concatenate([np.arange(1, len(s)) == len(s) - 1 for s in task.sequences])
    for episode in range(episodes):
        shown = list(zip(task.sequences, task.onsets(episode), strict=True))
        who = [[answering(task, times, ids, t, i) for t, i in zip(onsets, sequence, strict=True)]
               for sequence, onsets in shown]  # fmt: skip
        active.append([cells.size for row in who for cells in row])
        # the sample at the onset of an item is taken just before its spike arrives
        cases = [(outputs[round(onset / SAMPLE) - 1], task.followers(sequence, k))
                 for sequence, onsets in shown for k, onset in enumerate(onsets[1:])]  # fmt: skip
        targets = [np.isin(task.items, list(followers)) for _, followers in cases]
        pairs = [(output, target) for (output, _), target in zip(cases, targets, strict=True)]
        wrong.append([np.sum(output & ~target) for output, target in pairs])
        missing.append([np.sum(target & ~output) for output, target in pairs])
    error = np.sqrt(np.add(wrong, missing))
    return Scores(
        error.mean(axis=1), error[:, is_last].mean(axis=1), np.mean(wrong, axis=1),
        np.mean(missing, axis=1), np.array(active), who,
    )  # fmt: skip


def answering(
    task: Task, times: np.ndarray, ids: np.ndarray, onset: float, item: str
) -> np.ndarray:
    """Return the cells of an item that fired soon after it was shown."""
    fired = ids[np.searchsorted(times, onset) : np.searchsorted(times, onset + CLOSE)]
    cells = task.cells_of(item)
    return np.unique(fired[(fired >= cells.start) & (fired < cells.stop)])


def replay(task: Task, learned: ns.results.WeightTraces, first: str, V_th: float = 6.0) -> tuple:
    """Cue the first item alone in a network with frozen synapses and a low threshold.

    A dendritic action potential depolarises by 8 mV; below that threshold it makes the cell fire,
    and the sequence runs by itself.

    Returns
    -------
    (results, starts)
        What was recorded, and when each item's cells began to fire, in the order of time: pairs
        (time, item) [ms].
    """
    net = network(task, task.soma(V_th=V_th), [], [(START - LEAD, first)])
    exc, rule = net.populations["exc"], task.rule.values
    mature = np.abs(learned.weight) > rule["th_perm"]
    pairs = ns.Explicit(learned.pre[mature], learned.post[mature])
    net.connect(exc, exc, pairs, weight=rule["Wmax"], delay=2.0, receptor="dend")
    longest = DELTA_T * max(len(s) for s in task.sequences)
    results = ns.simulate(net, START + longest, record=[ns.Spikes(exc)], seed=task.seed)
    spikes = results.spikes["exc"]
    starts = []
    for item in task.items:
        cells = task.cells_of(item)
        own = np.sort(spikes.times[(spikes.ids >= cells.start) & (spikes.ids < cells.stop)])
        if own.size >= RHO // 2:
            starts.append((float(np.median(own)), item))
    return results, sorted(starts)
