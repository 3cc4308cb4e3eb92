// Deliver: what was sent at a step goes into the slots in which it arrives.
//
// A work item is a piece of a row, NS_CHUNK synapses at most, so long rows spread over many
// blocks. Synapses of a row are ordered by delay and target: neighbouring threads add to
// neighbouring channels. A synapse is one word: channel << delay_bits | delay.

__device__ __forceinline__ void ns_deliver(const Net& net, long long t) {
  const long long n_items = (long long)net.n_items[t & 1];
  const int lane = threadIdx.x % NS_CHUNK, per_block = NS_TILE / NS_CHUNK;
  const ns_synapse mask = ((ns_synapse)1 << net.delay_bits) - 1;
  for (long long k = (long long)blockIdx.x * per_block + threadIdx.x / NS_CHUNK; k < n_items;
       k += (long long)gridDim.x * per_block) {
    const Item item = net.items[k];
    if (lane >= item.length) continue;
    const ns_synapse synapse = net.synapses[item.begin + lane];
    const ns_amount amount = (ns_amount)net.weights[item.begin + lane] * (ns_amount)item.count;
    ns_add(ns_slot(net, t + (long long)(synapse & mask)) + (synapse >> net.delay_bits), amount);
  }
}

// Copy the recorded states of this step, after the update.
__device__ __forceinline__ void ns_sample(const Net& net, long long t) {
  for (long long k = 0; k < net.n_samples; k++) {
    const Sample& s = net.samples[k];
    if (t % s.every) continue;
    REAL* row = s.out + (t / s.every - net.start / s.every - 1) * s.stride;
    for (long long j = (long long)blockIdx.x * NS_TILE + threadIdx.x; j < s.n;
         j += (long long)gridDim.x * NS_TILE)
      row[j] = s.state[s.ids[j]];
  }
}
