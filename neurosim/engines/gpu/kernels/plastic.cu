// Plastic synapses: each projection has rows of its own, and a history of the events of each target.
//
//   update    the owner of a target appends its spikes to the history, the owner of a source moves
//             its traces on, keeps those of before, and lists the pieces of its row
//   deliver   one thread a synapse: it catches up with what its target did, runs the statements of
//             the spike, and sends
//   sweep     where a history is nearly full, all synapses catch up; when they do changes no bit
//
// `net.plastic` holds words that are written on one side of a barrier and read on the other:
enum {
  NS_PIECES = 0,    // of even and odd steps: pieces of rows to deliver
  NS_NEED = 2,      // of even and odd steps: the last step after which synapses have to catch up
  NS_SWEPT = 4,     // all synapses have caught up with this step
  NS_OVERFLOW = 5,  // the first step (and in it the first rule) that a history had no room in
};

// The step that all synapses have caught up with, for the update of step t, which notes it.
__device__ __forceinline__ long long ns_swept(const Net& net, long long t) {
  const long long before = (long long)net.plastic[NS_NEED + ((t - 1) & 1)];
  return before == t - 1 ? before : (long long)net.plastic[NS_SWEPT];
}

__device__ __forceinline__ void ns_begin_step(const Net& net, long long t) {
  net.plastic[NS_PIECES + ((t + 1) & 1)] = 0;  // was last read when the step before was delivered
  if ((long long)net.plastic[NS_NEED + ((t - 1) & 1)] == t - 1)
    net.plastic[NS_SWEPT] = (unsigned long long)(t - 1);
}

// Note an event of target i in its history, if there is room: of what all synapses have seen, the
// last event stays. Before it is full, ask for a sweep after this step.
__device__ __forceinline__ void ns_note(const Net& net, const Rule& x, int number,
                                        const Population& p, long long i, long long t) {
  if (x.counts[i] - x.swept[i] > (int)x.limit) {
    const ns_whole* steps = (const ns_whole*)x.history;
    const long long swept = ns_swept(net, t);
    while (x.swept[i] < x.counts[i]) {
      const long long slot = i * x.capacity + (x.swept[i] & (x.capacity - 1));
      if ((long long)steps[slot * x.record] + x.longest > swept) break;
      x.swept[i]++;
    }
    const int held = x.counts[i] - x.swept[i];
    if (held >= (int)x.capacity - 2) {
      atomicMin(net.plastic + NS_OVERFLOW, ((unsigned long long)t << 32) | (unsigned)number);
      return;
    }
    if (held > (int)x.limit)
      atomicMax(net.plastic + NS_NEED + (t & 1), (unsigned long long)t);
  }
  ns_append(x, p, i, t);
}

// List the row of source i for the delivery.
__device__ __forceinline__ void ns_list(const Net& net, const Rule& x, int number, long long i,
                                        long long t, int count) {
  const long long begin = x.row[i], end = x.row[i + 1];
  const unsigned long long pieces = (end - begin + NS_CHUNK - 1) / NS_CHUNK;
  unsigned long long place = atomicAdd(net.plastic + NS_PIECES + (t & 1), pieces);
  for (long long first = begin; first < end; first += NS_CHUNK) {
    Spike& s = net.spikes[place++];
    s.begin = first;
    s.length = (int)ns_min(end - first, (long long)NS_CHUNK);
    s.count = count;
    s.rule = number;
    s.source = (int)i;
  }
  atomicAdd(net.n_events, (unsigned long long)((end - begin) * count));
}

// What the update of member i of a population does for its plastic projections.
__device__ __forceinline__ void ns_plastic_update(const Net& net, int population,
                                                  const Population& p, long long i, long long t,
                                                  int count) {
  if (!NS_EVERY && !count) return;  // no rule looks at its targets in every step
  for (int number = 0; number < (int)net.n_rules; number++) {
    const Rule& x = net.rules[number];
    if (x.post == population) {
      const int events = x.every ? ns_look(x, p, i, t, count) : count;
      for (int k = 0; k < events; k++) ns_note(net, x, number, p, i, t);
    }
    if (x.pre == population && count) {
      x.past[i] = x.last[i];
      ns_jump(x, i, t, count);
      x.last[i] = t;
      ns_list(net, x, number, i, t, count);
    }
  }
}

__device__ __forceinline__ void ns_plastic_deliver(const Net& net, long long t) {
  const int n_pieces = (int)net.plastic[NS_PIECES + (t & 1)];
  const long long swept = (long long)net.plastic[NS_SWEPT];
  const int lane = threadIdx.x % NS_CHUNK, per_block = NS_TILE / NS_CHUNK;
  for (int k = blockIdx.x * per_block + threadIdx.x / NS_CHUNK; k < n_pieces;
       k += gridDim.x * per_block) {
    const Spike s = net.spikes[k];
    if (lane < s.length) ns_row(net, net.rules[s.rule], s, s.begin + lane, t, swept);
  }
}

__device__ __forceinline__ bool ns_needs_sweep(const Net& net, long long t) {
  return (long long)net.plastic[NS_NEED + (t & 1)] == t;
}

// Let all synapses catch up: a warp takes the row of a source.
__device__ __forceinline__ void ns_sweep(const Net& net, long long t) {
  const long long swept = (long long)net.plastic[NS_SWEPT];
  const int width = NS_TILE / 32, lane = threadIdx.x & 31;
  for (int number = 0; number < (int)net.n_rules; number++) {
    const Rule& x = net.rules[number];
    for (long long source = blockIdx.x * width + threadIdx.x / 32; source < x.n_sources;
         source += gridDim.x * width)
      for (long long k = x.row[source] + lane; k < x.row[source + 1]; k += 32)
        ns_settle(x, source, k, t, swept);
  }
}

extern "C" __global__ void __launch_bounds__(NS_TILE, NS_RESIDENT) sweep(const Net net, int k) {
  const long long t = net.clock[0] + k;
  if (ns_needs_sweep(net, t)) ns_sweep(net, t);
}

extern "C" __global__ void __launch_bounds__(NS_TILE, NS_RESIDENT) catch_up(const Net net) {
  ns_sweep(net, net.clock[0]);
}

// Write the weights and states of one projection as they are now, after `catch_up`.
extern "C" __global__ void __launch_bounds__(NS_TILE, NS_RESIDENT) peek(const Net net, int number, REAL* out) {
  const Rule& x = net.rules[number];
  const long long t = net.clock[0], swept = (long long)net.plastic[NS_SWEPT];
  const int width = NS_TILE / 32, lane = threadIdx.x & 31;
  for (long long source = blockIdx.x * width + threadIdx.x / 32; source < x.n_sources;
       source += gridDim.x * width)
    for (long long k = x.row[source] + lane; k < x.row[source + 1]; k += 32)
      ns_peek(x, source, k, t, swept, out);
}
