"""The arrays that the kernels share, by name.

G groups of neurons with the same matrices; M states and R reset statements at most; N members of
all populations, numbered through; T Poisson trains.
"""

from __future__ import annotations

from typing import Any, NamedTuple

# kinds of members
NEURON, PARROT, SOURCE = 0, 1, 2
# what is due at a neuron's check time
LOOK, SPIKE, RELEASE = 0, 1, 2
# cursors
C_GIVEN, C_CHANGE, C_QUEUE, C_SIZE = 0, 1, 2, 3
# counters
N_SPIKES, N_EVENTS, N_DRAWS, N_UPDATES, N_STEPS, N_LOOKS, N_SIZE = 0, 1, 2, 3, 4, 5, 6
# what ended a call of the loop
DONE, MORE, FAILED = 0, 1, 2
# columns of the delivery queue: next arrival, source, time of the spike, next synapse
Q_TIME, Q_SOURCE, Q_ORIGIN, Q_SYNAPSE, Q_COLUMNS = 0, 1, 2, 3, 4


class Groups(NamedTuple):
    """Matrices and bounds (see `neurosim.lower.flow_tables`)."""

    m: Any  # (G,) int64: number of states
    unit: Any  # (G,) float64
    n_generator: Any  # (G,) int64
    generator_row: Any  # (G, K) int64
    generator_column: Any  # (G, K) int64
    generator: Any  # (G, K) float64: entries of A
    n_power: Any  # (G,) int64
    power_row: Any  # (G, L) int64
    power_column: Any  # (G, L) int64
    power: Any  # (G, LEVELS, BASE, L) float64
    slopes: Any  # (G, 3, M) float64
    bound2: Any  # (G, M) float64
    bound3: Any  # (G, M) float64
    sup: Any  # (G, M) float64
    inf: Any  # (G, M) float64
    look: Any  # (G,) float64
    hold: Any  # (G, M) bool
    n_reset: Any  # (G,) int64
    reset_target: Any  # (G, R) int64
    reset_factor: Any  # (G, R, M) float64


class Cells(NamedTuple):
    """State and parameters of every member; z is relative to the fixed point."""

    kind: Any  # (N,) int64
    population: Any  # (N,) int64
    group: Any  # (N,) int64
    z: Any  # (N, M) float64
    rest: Any  # (N, M) float64
    rest_injected: Any  # (N, M) float64
    current: Any  # (N,) float64
    theta: Any  # (N,) float64
    t_ref: Any  # (N,) float64
    reset_offset: Any  # (N, R) float64
    last: Any  # (N,) float64: time of z
    until: Any  # (N,) float64: end of the refractory period, if not before `last`
    due: Any  # (N,) int64: what its check is for
    pending: Any  # (N,) int64: spikes a parrot is about to repeat
    n_effects: Any  # (P, C) int64: of each receptor
    effect_state: Any  # (P, C, E) int64
    effect_factor: Any  # (N, C, E) float64
    ignore: Any  # (P, C) bool
    recorded: Any  # (P,) bool


class Synapses(NamedTuple):
    """All synapses, by source, then delay."""

    first: Any  # (N + 1,) int64
    delay: Any  # (S,) float64
    target: Any  # (S,) int64
    receptor: Any  # (S,) int64
    weight: Any  # (S,) float64


class TrainTable(NamedTuple):
    """Poisson trains: of generators (receptor -1, `target` is the member) and of inputs."""

    member: Any  # (T,) int64
    target: Any  # (T,) int64
    receptor: Any  # (T,) int64
    weight: Any  # (T,) float64
    rate: Any  # (T,) float64
    first: Any  # (T,) int64: pieces of constant rate
    stop: Any  # (T,) int64
    key: Any  # (T, 2) uint32
    count: Any  # (T,) int64: events drawn
    times: Any  # (K,) float64
    factors: Any  # (K,) float64


class Agenda(NamedTuple):
    """A heap of items by time in which the time of each item can be changed."""

    time: Any  # (n,) float64
    heap: Any  # (n,) int64
    position: Any  # (n,) int64: -1 if not in the heap
    size: Any  # (1,) int64


class Outside(NamedTuple):
    """Given spikes and changes of injected currents, both sorted by time."""

    spike_time: Any  # (k,) float64
    spike_member: Any  # (k,) int64
    change_time: Any  # (c,) float64
    change_value: Any  # (c,) float64: what is added
    change_first: Any  # (c,) int64: its targets
    change_stop: Any  # (c,) int64
    targets: Any  # (t,) int64


class Records(NamedTuple):
    """Recorded states: record k samples entries first[k] up to the next."""

    interval: Any  # (k,) float64
    number: Any  # (k,) int64: samples taken
    first: Any  # (k + 1,) int64
    member: Any  # (e,) int64
    state: Any  # (e,) int64


class Work(NamedTuple):
    """Scratch memory."""

    points: Any  # (128, 6) float64
    vectors: Any  # (4, M) float64
    touched: Any  # (N,) int64
    mark: Any  # (N,) int64: 0, or 1: touched, 2: touched only by its own certain spike
    fired: Any  # (>= N + 1, 2) int64: who spikes at the present time, and how often
