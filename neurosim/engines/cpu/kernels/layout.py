"""Positions in the int64 tables through which the driver and the kernels share arrays.

A block is one population's part of one thread: an int64 array of numbers and array addresses. The
NumPy arrays behind the addresses are owned by the Python objects that fill the tables.
"""

# block: what the generated kernels read
N = 0  # neurons, padded to whole vectors
N_REAL = 1
COEFFICIENTS = 2
UNTIL = 3  # int32: last step of the refractory period
FLAGS = 4  # uint8: 1 spike, 2 not a number
LAST = 5  # int32: step of the last update (event strategy)
AWAKE = 6  # int32 list
N_AWAKE = 7
IS_AWAKE = 8  # uint8
INJECTED = 9
STATUS = 10  # -1, or the neuron whose state stopped being a number
TABLES = 11  # powers of the propagator
TOUCHED = 12  # int32 list of this step: channels whose slot of the ring holds input
N_TOUCHED = 13  # int64: its length
RECORDS = 14  # one record a neuron while the population sleeps (`records`)
SUBSTEP = 15  # step proposed by the adaptive method
UPDATES = 16  # neuron updates so far
NOISE = 17  # float (sources, N): standard normal numbers of this step
SCRATCH = 18  # float64 (N,)
EVENT_CHANNELS = 19  # int32 list of this step: input that is not in the ring, in its order
EVENT_WEIGHTS = 20
N_EVENTS = 21  # int64: its length
MARKS = 22  # int32 in the records: whether a neuron is on the awake list
RECORD_BYTES = 23
STATES = 24

# what a thread hands to the features that its network needs (`features`)
T_POPS, T_N_POPS, T_RING, T_RING_SIZE, T_BITS = range(5)
T_PROCESSES, T_N_PROCESSES, T_WEIGHTS, T_INPUTS_FN = range(5, 9)
T_CURRENTS, T_N_CURRENTS, T_MEANS, T_STDS, T_CURRENTS_FN = range(9, 14)
T_RECORDINGS, T_N_RECORDINGS, T_RECORD_FN = range(14, 17)
T_COLUMNS = 17

# populations: one row each
P_KIND, P_BLOCK, P_N, P_LO, P_CHANNEL, P_CHANNELS, P_EVENT = range(7)
P_CLOCK_FN, P_EVENT_FN, P_N_NOISE, P_KEY0, P_KEY1 = range(7, 12)
P_TOUCHED, P_N_TOUCHED, P_SOURCE, P_RECORD, P_ADVANCE_FN, P_CAPACITY, P_SPIKES = range(12, 19)
P_EVENT_CHANNELS, P_EVENT_WEIGHTS, P_N_EVENTS, P_EVENT_CAPACITY, P_SLOTS = range(19, 24)
# a feature that draws the spikes or the noise of the population, its process, where spikes go
P_DRAW_FN, P_PROCESS, P_OUT = range(24, 27)
# kernels that look at the population after each step, and their tables; their number
P_HOOKS, P_N_HOOKS = 27, 28
P_COLUMNS = 29
KIND_NEURON, KIND_POISSON, KIND_GIVEN, KIND_PARROT = range(4)

# Poisson processes: generators and inputs, one row each
Q_POPULATION, Q_CHANNEL, Q_N, Q_KEY0, Q_KEY1, Q_DENSE, Q_CDF, Q_N_CDF = range(8)
Q_BLOCK, Q_ACCEPT, Q_TARGETS, Q_START, Q_WORDS, Q_STEP, Q_CHANGES, Q_FACTORS = range(8, 16)
Q_N_CHANGES, Q_EVENTS = 16, 17
Q_COLUMNS = 18

# spike sources with given times
G_STEPS, G_IDS, G_COUNT, G_CURSOR = range(4)
G_COLUMNS = 4

# injected currents, one row each; their values are in a float array
J_POPULATION, J_TARGETS, J_N, J_KIND, J_STEPS, J_VALUES, J_COUNT, J_CURSOR = range(8)
J_KEY0, J_KEY1, J_FIRST, J_LAST, J_EVERY, J_IDS, J_SCRATCH = range(8, 15)
J_COLUMNS = 15
# a held current has a value for each target; its cursor says that they changed
KIND_STEPS, KIND_NOISE, KIND_HELD = range(3)

# bundles of synapses with one source population, and their segments (projections)
B_SOURCE, B_SEGMENTS, B_POINTERS, B_PACKED, B_WEIGHTS, B_FIRST, B_DENSE, B_UNIFORM = range(8)
# a plastic projection: its table, and the kernels for spikes of the source and of the modulator
B_PLASTIC, B_UPDATE_FN, B_SWEEP_FN, B_MODULATE_FN, B_MODULATOR, B_SCRATCH = range(8, 14)
B_COLUMNS = 14
# events so far, and how many there were at the last decision
S_TARGET, S_EVENTS, S_MARKED = range(3)
S_COLUMNS = 3

# recorded states, one row each
R_POPULATION, R_STATE, R_IDS, R_N, R_EVERY, R_OUT, R_ROW, R_PEEK_FN, R_SINGLE = range(9)
R_COLUMNS = 9

# shared by the threads, a cache line apart (two stop flags); decisions that the threads may take;
# when there is something to do next; then each thread's step that failed
H_BARRIER, H_STOP, H_NEXT, H_FAILED = 0, 8, 23, 24
# the next decision, steps between two, most events between them, the last decision and the events
# up to then; out: the last that was taken
H_DECISION, H_PERIOD, H_MOST, H_SINCE, H_REACHED, H_DECIDED = range(17, 23)

# what a thread tells the others at a meeting, a cache line each: when it goes on, the steps of the
# window in which it emitted (bits: `LONGEST_STRIDE` is 64), and how many spikes; at a decision the
# events that reached its neurons so far, and how many of them are awake
D_NEXT, D_STEPS, D_EMITTED, D_REACHED, D_AWAKE = range(5)
D_COLUMNS = 8

#: Refractory end of padding neurons: they never spike.
FOREVER = 2**31 - 1
#: A receptor slot that nothing was added to holds -0.0: adding any weight clears the sign.
UNTOUCHED = -0.0
#: Neurons a block is padded to: whole vectors of flags.
PADDING = 64
#: Levels and base of the tables of propagator powers.
LEVELS, BASE = 4, 256
#: Smaller weights count as 0 (float32, float64): sums of larger ones are never denormal, which the
#: processor would flush to a -0.0 that looks untouched.
SMALLEST32, SMALLEST64 = 2.0**-102, 2.0**-969

# what a plastic projection's kernels share, one table a projection and thread (`plastic`)
X_POINTERS, X_SOURCES, X_SYNAPSES, X_PACKED, X_WEIGHTS, X_BITS, X_BASE, X_PADDED = range(8)
X_LAST, X_PRE, X_STATES, X_NUMBERS, X_SCRATCH, X_DONE, X_NEED, X_EDGE = range(8, 16)
# histories of the targets: events after one another in a ring for each
X_N, X_LO, X_HISTORY, X_CAPACITY, X_COUNTS, X_SWEPT, X_LIMIT, X_LONGEST = range(16, 24)
X_BLOCK, X_SAMPLES, X_SAMPLE_SLOTS, X_RANDOM, X_ROUNDS, X_KEY0, X_KEY1 = range(24, 31)
X_M_STEPS, X_M_VALUES, X_M_CAPACITY, X_M_COUNT, X_M_SWEPT, X_M_LIMIT = range(31, 37)
X_M_DELAY, X_M_MEMBER, X_M_N = range(37, 40)
# the latest events of each target once more, side by side; what passes over a row hand on
X_RECENT, X_WORK, X_UPDATE_FN = 40, 41, 42
X_COLUMNS = 43
