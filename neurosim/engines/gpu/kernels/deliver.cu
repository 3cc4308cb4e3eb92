// Deliver: what was sent at a step goes into the slots in which it arrives.
//
// A work item is a piece of a row, NS_CHUNK synapses at most, so long rows spread over many
// blocks. Synapses of a row are ordered by delay and target: neighbouring threads add to
// neighbouring channels. A synapse is one word: channel << delay_bits | delay.

__device__ __forceinline__ void ns_deliver(const Net& net, long long t) {
  const int n_items = (int)net.n_items[t & 1];
  const int lane = threadIdx.x % NS_CHUNK, per_block = NS_TILE / NS_CHUNK;
  const ns_synapse mask = ((ns_synapse)1 << net.delay_bits) - 1;
  for (int k = blockIdx.x * per_block + threadIdx.x / NS_CHUNK; k < n_items;
       k += gridDim.x * per_block) {
    const Item item = net.items[k];
    if (lane >= item.length) continue;
    const ns_synapse synapse = net.synapses[item.begin + lane];
    const ns_amount amount = (ns_amount)net.weights[item.begin + lane] * (ns_amount)item.count;
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
