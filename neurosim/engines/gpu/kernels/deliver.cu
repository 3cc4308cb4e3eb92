// Deliver: what was sent at a step goes into the slots in which it arrives.
//
// A work item is a piece of a row, NS_CHUNK synapses at most, so long rows spread over many
// blocks. Synapses of a row are ordered by delay and target: neighbouring threads add to
// neighbouring channels. A synapse is one word: channel << delay_bits | delay. The first
// `n_weighted` synapses have a weight each; all others of an item have the same.

#if NS_DRAWN
// A piece of a row that is not stored is drawn again. Where its columns follow from each other, 32
// threads draw the whole row; the warps of an item take turns.
__device__ __forceinline__ void ns_deliver_drawn(const Net& net, const Item& item, int lane,
                                                 int round, long long t) {
  const Projection& q = net.drawn[item.drawn];
  const long long row = (long long)(uint32_t)item.row;
  auto send = [&](bool valid, const Edge& e, long long) {
    if (!valid) return;
    const Synapse s = ns_synapse_of(q, e);
    const ns_amount amount = q.constant ? (ns_amount)item.amount
                                        : ns_amount_of(ns_stored(s.weight, s.unit), item.amount);
    ns_add(ns_slot(net, t + s.steps) + s.channel, amount * (ns_amount)item.count);
  };
  if (q.mode != NS_SKIP) {
    send(lane < item.length, ns_edge(q, row, (uint32_t)item.begin + lane, 0), 0);
  } else if (round % (NS_CHUNK / 32) == lane / 32) {
    const long long found = ns_skip(q, row, send);
    if (lane % 32 == 0) atomicAdd(net.n_events, (unsigned long long)(found * item.count));
  }
}
#endif

__device__ __forceinline__ void ns_deliver(const Net& net, long long t) {
  const int n_items = (int)net.n_items[t & 1];
  const int lane = threadIdx.x % NS_CHUNK, per_block = NS_TILE / NS_CHUNK;
  const ns_synapse mask = ((ns_synapse)1 << net.delay_bits) - 1;
  int round = 0;
  for (int k = blockIdx.x * per_block + threadIdx.x / NS_CHUNK; k < n_items;
       k += gridDim.x * per_block, round++) {
    const Item item = net.items[k];
#if NS_DRAWN
    if (item.drawn >= 0) {
      ns_deliver_drawn(net, item, lane, round, t);
      continue;
    }
#endif
    if (lane >= item.length) continue;
    const long long at = item.begin + lane;
    const ns_synapse synapse = net.synapses[at];
    const ns_amount one = at < net.n_weighted ? ns_amount_of(net.weights[at], item.amount)
                                              : (ns_amount)item.amount;
    const ns_amount amount = one * (ns_amount)item.count;
    ns_add(ns_slot(net, t + (long long)(synapse & mask)) + (synapse >> net.delay_bits), amount);
  }
}

// Copy the recorded states of a step, after the update. The host says how many steps after clock[1]
// each recording begins.
__device__ __forceinline__ void ns_sample(const Net& net, long long t) {
  if (!net.n_samples) return;
  const int k = (int)(t - net.clock[1]);
  for (int number = 0; number < (int)net.n_samples; number++) {
    const Sample& s = net.samples[number];
    const int since = k - (int)s.first;
    if (since < 0 || since % (int)s.every) continue;
    REAL* row = s.out + since / (int)s.every * s.stride;
    for (int j = blockIdx.x * NS_TILE + threadIdx.x; j < (int)s.n; j += gridDim.x * NS_TILE)
      row[j] = s.state[s.ids[j]];
  }
}
