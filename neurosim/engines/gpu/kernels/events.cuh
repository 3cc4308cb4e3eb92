// Events of processes: what a Poisson input, a Poisson generator or a source with given spikes
// sends at a step. Which thread draws them, and where they go, is not decided here.

// The number of events that a word stands for.
__device__ __forceinline__ int ns_count(const Process& q, uint32_t word) {
  int count = 0;
  while (count < q.n_cdf && word > q.cdf[count]) count++;
  return count;
}

// What events add to the channel of their target.
__device__ __forceinline__ ns_amount ns_events(const Process& q, int count) {
#if NS_DETERMINISTIC
  return (ns_amount)q.amount * count;
#else
  return (REAL)(q.weight * count);
#endif
}

// One word for each member: word j of counter i of a block belongs to its member
// j * NS_DENSE_BLOCK / 4 + i.
__device__ __forceinline__ Words ns_dense_words(const Process& q, uint32_t counter, long long t) {
  return ns_words(counter, t, 0, q.key);
}

__device__ __forceinline__ double ns_rate(const Process& q, long long t) {
  if (!q.n_changes) return 1.0;
  long long below = 0, above = q.n_changes;
  while (below < above) {
    const long long middle = (below + above) / 2;
    if (q.changes[middle] <= t) below = middle + 1;
    else above = middle;
  }
  return below ? q.factors[below - 1] : 0.0;
}

// The number of events of a block of members, then a member for each event: 32 threads take them
// in turn and hand each to `receive(member)`.
template <class Receive>
__device__ __forceinline__ void ns_sparse_events(const Process& q, long long block, int lane,
                                                 long long t, Receive receive) {
  const int n_events = ns_count(q, ns_words((uint32_t)block, t, 0, q.key).w0);
  if (lane >= n_events) return;
  const double factor = ns_rate(q, t);
  for (int event = lane; event < n_events; event += 32) {
    const Words w = ns_words((uint32_t)block, t, (uint32_t)event + 1, q.key);
    const uint64_t size = (uint64_t)q.block;
    const long long within = (long long)((w.w0 * size + ((w.w3 * size) >> 32)) >> 32);
    const long long member = block * q.block + within;
    if (member >= q.n) continue;  // all blocks are drawn at full size
    const double keep = q.accept ? factor * q.accept[member] : factor;
    if (ns_uniform(w.w1) < keep) receive(member);
  }
}

// Spikes with given times: `given_first` says which of them belong to each step from clock[1] + 1 on.
template <class Receive>
__device__ __forceinline__ void ns_given_events(const Net& net, const Process& q, int lane,
                                                long long t, Receive receive) {
  const long long* first = q.given_first + (t - net.clock[1] - 1);
  for (long long k = first[0] + lane; k < first[1]; k += 32) receive(q.given[k]);
}

__device__ __forceinline__ long long ns_target(const Process& q, long long member) {
  return q.channel + (q.targets ? q.targets[member] : q.first_target + member);
}
