// Drive: input from outside for one step, added to the slot of that step.
//
// The work of a process is split into units, each for 32 neighbouring threads. Counts of generators
// and given spikes go to the channel of the source itself, which sends them in the update. All
// additions are atomic: the same slot may receive synaptic input at the same time.

__device__ __forceinline__ void ns_dense(const Process& q, long long counter, long long t,
                                         ns_amount* slot) {
  const int quarter = NS_DENSE_BLOCK / 4;
  const long long first = counter / quarter * NS_DENSE_BLOCK + counter % quarter;
  if (first >= q.n) return;
  const Words words = ns_dense_words(q, (uint32_t)counter, t);
  const uint32_t word[4] = {words.w0, words.w1, words.w2, words.w3};
#pragma unroll
  for (int j = 0; j < 4; j++) {
    const long long member = first + j * quarter;
    const int count = ns_count(q, word[j]);
    if (count && member < q.n) ns_add(slot + ns_target(q, member), ns_events(q, count));
  }
}

__device__ __forceinline__ void ns_drive(const Net& net, long long t) {
  ns_amount* slot = ns_slot(net, t);
  const int lane = threadIdx.x & 31, width = NS_TILE / 32;
  for (int unit = blockIdx.x * width + threadIdx.x / 32; unit < (int)net.n_units;
       unit += gridDim.x * width) {
    const Process& q = net.processes[net.unit_process[unit]];
    const long long number = unit - q.first_unit;
    auto receive = [&](long long member) {
      ns_add(slot + ns_target(q, member), ns_events(q, 1));
    };
    if (q.kind == NS_DENSE) ns_dense(q, number * 32 + lane, t, slot);
    else if (q.kind == NS_SPARSE) ns_sparse_events(q, number, lane, t, receive);
    else ns_given_events(net, q, lane, t, receive);
  }
}
