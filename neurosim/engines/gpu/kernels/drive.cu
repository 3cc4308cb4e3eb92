// Drive: input from outside for one step, added to the slot of that step.
//
// A process is a Poisson input, a Poisson generator or a source with given spikes. Its work is
// split into units, each for 32 neighbouring threads. Counts of generators and given spikes go to
// the channel of the source itself, which sends them in the update. All additions are atomic: the
// same slot may receive synaptic input at the same time.

__device__ __forceinline__ void ns_receive(const Net& net, const Process& q, long long member,
                                           int count, ns_amount* slot) {
  const long long target = q.targets ? q.targets[member] : q.first_target + member;
#if NS_DETERMINISTIC
  ns_add(slot + q.channel + target, (ns_amount)q.amount * count);
#else
  ns_add(slot + q.channel + target, (REAL)(q.weight * count));
#endif
}

// One word for each member: word j of counter i of a block belongs to its member
// j * NS_DENSE_BLOCK / 4 + i.
__device__ __forceinline__ void ns_dense(const Net& net, const Process& q, long long counter,
                                         long long t, ns_amount* slot) {
  const int quarter = NS_DENSE_BLOCK / 4;
  const long long first = counter / quarter * NS_DENSE_BLOCK + counter % quarter;
  if (first >= q.n) return;
  const Words words = ns_words((uint32_t)counter, t, 0, q.key);
  const uint32_t word[4] = {words.w0, words.w1, words.w2, words.w3};
#pragma unroll
  for (int j = 0; j < 4; j++) {
    const long long member = first + j * quarter;
    int count = 0;
    while (count < q.n_cdf && word[j] > q.cdf[count]) count++;
    if (count && member < q.n) ns_receive(net, q, member, count, slot);
  }
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

// The number of events of a block of members, then a member for each event.
__device__ __forceinline__ void ns_sparse(const Net& net, const Process& q, long long block,
                                          int lane, long long t, ns_amount* slot) {
  const uint32_t word = ns_words((uint32_t)block, t, 0, q.key).w0;
  int n_events = 0;
  while (n_events < q.n_cdf && word > q.cdf[n_events]) n_events++;
  if (lane >= n_events) return;
  const double factor = ns_rate(q, t);
  for (int event = lane; event < n_events; event += 32) {
    const Words w = ns_words((uint32_t)block, t, (uint32_t)event + 1, q.key);
    const uint64_t size = (uint64_t)q.block;
    const long long within = (long long)((w.w0 * size + ((w.w3 * size) >> 32)) >> 32);
    const long long member = block * q.block + within;
    if (member >= q.n) continue;  // all blocks are drawn at full size
    const double keep = q.accept ? factor * q.accept[member] : factor;
    if (ns_uniform(w.w1) < keep) ns_receive(net, q, member, 1, slot);
  }
}

// Spikes with given times: `given_first` says which of them belong to each step from clock[1] + 1 on.
__device__ __forceinline__ void ns_given(const Net& net, const Process& q, int lane, long long t,
                                         ns_amount* slot) {
  const long long* first = q.given_first + (t - net.clock[1] - 1);
  for (long long k = first[0] + lane; k < first[1]; k += 32) ns_receive(net, q, q.given[k], 1, slot);
}

__device__ __forceinline__ void ns_drive(const Net& net, long long t) {
  ns_amount* slot = ns_slot(net, t);
  const int lane = threadIdx.x & 31, width = NS_TILE / 32;
  for (int unit = blockIdx.x * width + threadIdx.x / 32; unit < (int)net.n_units;
       unit += gridDim.x * width) {
    const Process& q = net.processes[net.unit_process[unit]];
    const long long number = unit - q.first_unit;
    if (q.kind == NS_DENSE) ns_dense(net, q, number * 32 + lane, t, slot);
    else if (q.kind == NS_SPARSE) ns_sparse(net, q, number, lane, t, slot);
    else ns_given(net, q, lane, t, slot);
  }
}
