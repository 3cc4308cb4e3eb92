// The owner variant: each block owns some neurons of every population, one a thread, for a whole
// launch. States are in registers, input to come in shared memory; only the list of spikes goes
// through global memory. Order of a step, | being the barrier of the grid in two halves:
//
//   update, send | drive of the next step, sample | deliver
//
// Between the halves a block touches its own memory only. The list of step k of a launch, sent[k & 1],
// is written before the barrier of step k and was last read in step k - 2, which all blocks ended
// before the barrier of step k - 1. Its length n_sent[k % 3] was last read in step k - 3; it is set to
// zero in step k - 1, before the barrier of that step.

// What a synapse adds for each spike, in units of what the spike carries.
__device__ __forceinline__ ns_amount ns_weight_at(const Owner& own, const ns_owned* table,
                                                  unsigned word, ns_segment j) {
#if NS_FORM == NS_WIDE
  return (ns_amount)own.weights[j];
#elif NS_FORM == NS_HALVES
  const unsigned code = word >> 16;
  if ((code & 0x7c00u) == 0x7c00u) return (ns_amount)table[code & 0x3ffu];
  return (ns_amount)(ns_half_value((unsigned short)code) * (REAL)own.unit);
#else
  return (ns_amount)table[word >> 16];
#endif
}

#if NS_DETERMINISTIC
__device__ __forceinline__ unsigned ns_payload(const Owner&, int count, int) {
  return (unsigned)count;
}
__device__ __forceinline__ ns_amount ns_carried(unsigned payload) { return (int)payload; }
#else
__device__ __forceinline__ unsigned ns_payload(const Owner& own, int count, int population) {
#if NS_FORM == NS_HALVES
  return (unsigned)__float_as_int((float)count * own.factors[population]);
#else
  return (unsigned)__float_as_int((float)count);
#endif
}
__device__ __forceinline__ ns_amount ns_carried(unsigned payload) {
  return (ns_amount)__int_as_float((int)payload);
}
#endif

// Spikes of all owners into the ring of this one: 1 << group_bits threads take a spike at a time.
__device__ __forceinline__ void ns_owner_deliver(const Owner& own, int k, const Turn& turn,
                                                 ns_amount* ring, const ns_owned* table) {
  const unsigned n = own.n_sent[k % 3];
  const unsigned long long* list = own.sent + (k & 1) * own.n_sources;
  const int width = 1 << own.group_bits, lane = threadIdx.x & (width - 1);
  const unsigned step = blockDim.x >> own.group_bits;
  for (unsigned place = threadIdx.x >> own.group_bits; place < n; place += step) {
    const unsigned long long spike = list[place];
    const ns_segment* segment = own.segments + (spike & 0xffffffffu) * (gridDim.x + 1) + blockIdx.x;
    const ns_amount carried = ns_carried((unsigned)(spike >> 32));
    const ns_segment end = segment[1];
    for (ns_segment j = segment[0] + lane; j < end; j += width) {
      const unsigned word = own.words[j];
      ns_add(ring + ns_turned(turn, (int)(word & 0xffffu)),
             ns_weight_at(own, table, word, j) * carried);
    }
  }
}

// Input from outside for a step. The draws of dense processes are listed, one a thread; the blocks
// of sparse ones too, one for 32 threads, of which each owner takes what is its own.
__device__ __forceinline__ void ns_owner_drive(const Net& net, const Owner& own, long long t,
                                               const Turn& turn, ns_amount* ring) {
  for (int e = own.first_draw[blockIdx.x] + threadIdx.x; e < own.first_draw[blockIdx.x + 1];
       e += blockDim.x) {
    const Draw draw = own.draws[e];
    const Process& q = net.processes[draw.process];
    const Words words = ns_dense_words(q, draw.counter, t);
    const uint32_t word[4] = {words.w0, words.w1, words.w2, words.w3};
    const unsigned place[4] = {draw.low & 0xffffu, draw.low >> 16, draw.high & 0xffffu,
                               draw.high >> 16};
#pragma unroll
    for (int j = 0; j < 4; j++) {
      if (place[j] == 0xffffu) continue;
      const int count = ns_count(q, word[j]);
      if (count) ns_add(ring + ns_turned(turn, (int)place[j]), ns_events(q, count));
    }
  }
  const int lane = threadIdx.x & 31;
  for (int e = own.first_block[blockIdx.x] + threadIdx.x / 32;
       e < own.first_block[blockIdx.x + 1]; e += blockDim.x / 32) {
    const Piece piece = own.blocks[e];
    const Process& q = net.processes[piece.process];
    auto receive = [&](long long member) {
      const unsigned home = own.homes[ns_target(q, member)];
      if (home >> 16 == blockIdx.x)
        ns_add(ring + ns_turned(turn, (int)(home & 0xffffu)), ns_events(q, 1));
    };
    if (q.kind == NS_SPARSE) ns_sparse_events(q, piece.number, lane, t, receive);
    else ns_given_events(net, q, lane, t, receive);
  }
}

// The states of a thread's neuron from registers to global memory.
__device__ __forceinline__ void ns_owner_store(OwnerCell& cell, REAL* state, int n_states,
                                               long long n, long long i) {
#pragma unroll
  for (int k = 0; k < NS_STATES; k++)
    if (k < n_states) state[k * n + i] = ns_state(cell, k);
}

// Record the states of a thread's neuron, wherever they are wanted: by way of global memory, since
// registers have no index.
__device__ __forceinline__ void ns_owner_sample(const Net& net, const Owner& own, long long t,
                                                OwnerCell& cell, const Population& p,
                                                int population, int n_states, long long i) {
  const int k = (int)(t - net.clock[1]);
  bool stored = false;
  for (int number = 0; number < (int)net.n_samples; number++) {
    const Sample& s = net.samples[number];
    const Wanted& w = own.wanted[number];
    const int since = k - (int)s.first;
    if (w.source != p.source || since < 0 || since % (int)s.every) continue;
    if (!stored) ns_owner_store(cell, net.populations[population].state, n_states, p.n, i);
    stored = true;
    REAL* row = s.out + since / (int)s.every * s.stride;
    for (int at = w.first[i]; at < w.first[i + 1]; at++) row[w.columns[at]] = s.state[i];
  }
}

// What thread i of a population sends at step t, the k-th of the launch.
__device__ __forceinline__ void ns_owner_send(const Net& net, const Owner& own, long long t, int k,
                                              const Population& p, int population, long long i,
                                              int count, unsigned degree) {
  const long long source = p.source + i;
  atomicAdd(net.n_spikes, (unsigned long long)count);
  if (degree) {
    atomicAdd(net.n_events, (unsigned long long)degree * (unsigned long long)count);
    const unsigned place = atomicAdd(own.n_sent + k % 3, 1u);
    own.sent[(k & 1) * own.n_sources + place] =
        (unsigned long long)ns_payload(own, count, population) << 32 | (unsigned long long)source;
  }
  if (p.recorded) {
    uint32_t* record = net.records + 3 * atomicAdd(net.n_records, 1ull);
    record[0] = (uint32_t)source;
    record[1] = (uint32_t)t;
    record[2] = (uint32_t)count;
  }
}

// Move the input to come of a thread's channels between the ring in shared memory, whose next line
// is `turn`, and the ring in global memory, whose next slot is that of step `next`.
template <bool out>
__device__ __forceinline__ void ns_owner_move(const Net& net, const Population& p,
                                              const OwnerCell& cell, int n_rows, long long i,
                                              long long next) {
  for (int r = 0; r < n_rows; r++) {
    const int place = cell.places[r] + cell.member;
    int width = cell.turn.width[0], size = cell.turn.size[0];
#pragma unroll
    for (int k = 1; k < NS_CLASSES; k++)
      if (place >= cell.turn.end[k - 1]) {
        width = cell.turn.width[k];
        size = cell.turn.size[k];
      }
    for (int line = 0; line * width < size; line++) {
      ns_amount* far = ns_slot(net, next + line) + p.channel + r * p.n + i;
      ns_amount* near = cell.ring + ns_turned(cell.turn, place + line * width);
      if (out) *far = *near;
      else {
        *near = *far;
        *far = 0;
      }
    }
  }
}

extern "C" __global__ void __launch_bounds__(NS_BOUND, NS_BLOCKS_EACH)
run(const Net net, const Owner own, int n_steps) {
  NS_DYNAMIC_SHARED(shared);
  double* scales = (double*)(shared + own.at_scales);
  ns_amount* ring = (ns_amount*)(shared + own.at_ring);
  REAL* scalars = (REAL*)(shared + own.at_scalars);
  ns_owned* table = (ns_owned*)(shared + own.at_table);
  int* places = (int*)(shared + own.at_places);
  const int thread = threadIdx.x;
  for (int k = thread; k < (int)own.n_rows; k += blockDim.x) {
    places[k] = own.places[k];
    scales[k] = own.scales[k];
  }
  for (int k = thread; k < (int)own.n_scalars; k += blockDim.x) scalars[k] = own.scalars[k];
  for (int k = thread; k < (int)own.n_table; k += blockDim.x) table[k] = own.table[k];
  if (blockIdx.x == 0 && thread < 3) own.n_sent[thread] = 0;
  __syncthreads();

  const long long start = net.clock[0], i = own.neurons[blockIdx.x * blockDim.x + thread];
  const bool live = i >= 0;
  const int population = own.populations[thread];
  Population p;  // what steps read of it stays in registers
  ns_copy(p, net.populations[population]);
  const int first_row = own.first_row[population];
  const int n_rows = own.first_row[population + 1] - first_row;
  const int n_states = own.n_states[population];
  p.scalars = scalars + own.first_scalar[population];
  OwnerCell cell = {ns_first_turn(own), ring, places + first_row, scales + first_row,
                    thread - own.first_thread[population], 0, (REAL)0};
  unsigned degree = 0;
#if NS_SHARED_STATES
  cell.states = (REAL*)(shared + own.at_states) + thread;
#endif
  if (live) {
    const ns_segment* segments = own.segments + (p.source + i) * (gridDim.x + 1);
    degree = (unsigned)(segments[gridDim.x] - segments[0]);
#pragma unroll
    for (int k = 0; k < NS_STATES; k++)
      if (k < n_states) ns_state(cell, k) = p.state[k * p.n + i];
    if (p.until) cell.until = p.until[i];
    if (p.substep) cell.substep = p.substep[i];
    ns_owner_move<false>(net, p, cell, n_rows, i, start + 1);
  }
  NS_GRID_SYNC();
  ns_owner_drive(net, own, start + 1, cell.turn, ring);
  __syncthreads();

  for (int k = 1; k <= n_steps; k++) {
    const long long t = start + k;
    const int count = live ? ns_step(net, p, cell, i, t) : 0;
    if (count) ns_owner_send(net, own, t, k, p, population, i, count, degree);
    if (blockIdx.x == 0 && thread == 0) own.n_sent[(k + 1) % 3] = 0;
    ns_advance(cell.turn);
    const unsigned arrived = NS_GRID_ARRIVE();
    if (k < n_steps) ns_owner_drive(net, own, t + 1, cell.turn, ring);
    if (live && net.n_samples) ns_owner_sample(net, own, t, cell, p, population, n_states, i);
    NS_GRID_WAIT(arrived);
    ns_owner_deliver(own, k, cell.turn, ring, table);
#if !NS_PLANT_RACE  // the tests leave this barrier out, to see that the race is found
    __syncthreads();
#endif
  }

  if (!live) return;
  const Population& home = net.populations[population];
  ns_owner_store(cell, home.state, n_states, p.n, i);
  if (home.until) home.until[i] = cell.until;
  if (home.substep) home.substep[i] = cell.substep;
  ns_owner_move<true>(net, p, cell, n_rows, i, start + n_steps + 1);
}
