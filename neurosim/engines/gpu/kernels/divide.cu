// Divide: the rows of the ring variant, source by source, into segments by owner.

extern "C" __global__ void __launch_bounds__(NS_TILE) longest(const Net net, const Division d) {
  NS_DYNAMIC_SHARED(shared);
  unsigned* delays = (unsigned*)shared;  // of each row of channels
  for (int r = threadIdx.x; r < (int)d.n_rows; r += NS_TILE) delays[r] = 0;
  __syncthreads();
  const ns_synapse mask = ((ns_synapse)1 << net.delay_bits) - 1;
  for (long long j = (long long)blockIdx.x * NS_TILE + threadIdx.x; j < d.n_synapses;
       j += (long long)gridDim.x * NS_TILE) {
    const ns_synapse synapse = net.synapses[j];
    atomicMax(delays + d.row_of[synapse >> net.delay_bits], (unsigned)(synapse & mask));
  }
  __syncthreads();
  for (int r = threadIdx.x; r < (int)d.n_rows; r += NS_TILE)
    if (delays[r]) atomicMax(d.longest + r, delays[r]);
}

// Hand every synapse of a source to `take(synapse, its number, group of its row)`.
template <class Take>
__device__ __forceinline__ void ns_each(const Net& net, const Population& p, long long i,
                                        Take take) {
  for (int g = (int)p.first_group; g < (int)(p.first_group + p.n_groups); g++) {
    const long long row = net.groups[g].first_row + i, end = net.row[row + 1];
    for (long long j = net.row[row] + threadIdx.x; j < end; j += NS_TILE)
      take(net.synapses[j], j, g);
  }
}

// A block takes a source at a time: it counts the synapses of each owner, then puts them in place.
extern "C" __global__ void __launch_bounds__(NS_TILE) divide(const Net net, const Division d,
                                                             int population) {
  NS_DYNAMIC_SHARED(shared);
  unsigned* next = (unsigned*)shared;  // of each owner: its number of synapses, then a free place
  const Population& p = net.populations[population];
  const ns_synapse mask = ((ns_synapse)1 << net.delay_bits) - 1;
  const int n_owners = (int)d.n_owners;
  for (long long i = blockIdx.x; i < p.n; i += gridDim.x) {
    const long long source = p.source + i, begin = d.begins[source];
    for (int k = threadIdx.x; k < n_owners; k += NS_TILE) next[k] = 0;
    __syncthreads();
    ns_each(net, p, i, [&](ns_synapse synapse, long long, int) {
      atomicAdd(next + (d.homes[synapse >> net.delay_bits] >> 16), 1u);
    });
    __syncthreads();
    if (threadIdx.x == 0) {
      ns_segment* segments = d.segments + source * (n_owners + 1);
      unsigned place = 0;
      for (int k = 0; k < n_owners; k++) {
        const unsigned count = next[k];
        segments[k] = (ns_segment)(begin + place);
        next[k] = place;
        place += count;
      }
      segments[n_owners] = (ns_segment)(begin + place);
    }
    __syncthreads();
    ns_each(net, p, i, [&](ns_synapse synapse, long long j, int g) {
      const ns_synapse channel = synapse >> net.delay_bits;
      const unsigned home = d.homes[channel];
      const unsigned later = (unsigned)(synapse & mask) - 1;
      const unsigned place = (home & 0xffffu) + later * d.widths[d.row_of[channel]];
      const long long to = begin + atomicAdd(next + (home >> 16), 1u);
      const bool weighted = j < net.n_weighted;
#if NS_FORM == NS_WIDE
      const double amount = net.groups[g].amount;
      d.words[to] = place;
      d.weights[to] = (ns_owned)(weighted ? ns_amount_of(net.weights[j], amount)
                                          : (ns_amount)amount);
#else
      d.words[to] = (weighted ? (unsigned)net.weights[j] : d.codes[g]) << 16 | place;
#endif
    });
    __syncthreads();
  }
}
