// FixedTotalNumber: how many synapses each source gets, as neurosim.lower.rows.count_sources says.
// Each draw chooses a source and a trial. Without multapses it depends on how many draws of that
// source counted before: draws are listed by source (`list_draws`), ordered (`sort_rows`) and then
// decided source by source (`settle`).

struct Choice {
  long long source, trial;
};

__device__ __forceinline__ Choice ns_choice(const Projection& q, long long index) {
  const uint64_t number = (uint64_t)index;
  const Words w = ns_philox((uint32_t)number, (uint32_t)(number >> 32), NS_SOURCE, 0, q.key);
  const Choice choice = {ns_below(q.n_rows, w.w0, w.w3), ns_below(q.n_columns, w.w1, w.w2)};
  return choice;
}

// Count, by source, the n draws from `start` on whose trial is not the source itself.
extern "C" __global__ void __launch_bounds__(NS_TILE)
    count_sources(const Projection q, const Build b, long long start, long long n) {
  unsigned long long kept = 0;
  for (long long k = blockIdx.x * NS_TILE + threadIdx.x; k < n; k += gridDim.x * NS_TILE) {
    const Choice c = ns_choice(q, start + k);
    if (c.trial == ns_excluded(q, c.source)) continue;
    atomicAdd(b.counts + c.source, 1u);
    kept++;
  }
  if (kept) atomicAdd(b.measured + NS_N_SYNAPSES, kept);
}

// List the draws of each source, in any order. `sort_rows` looks at the last bit first, so that is
// where the first one goes.
extern "C" __global__ void __launch_bounds__(NS_TILE)
    list_draws(const Projection q, const Build b, long long start, long long n) {
  const int width = 8 * sizeof(ns_synapse);
  for (long long k = blockIdx.x * NS_TILE + threadIdx.x; k < n; k += gridDim.x * NS_TILE) {
    const long long source = ns_choice(q, start + k).source;
    const long long at = b.row[source] + atomicAdd(b.counts + source, 1u);
    b.synapses[at] = (ns_synapse)k << 1 | (ns_synapse)k >> (width - 1);
  }
}

// A draw counts if its trial is below the number of targets that the source has left.
extern "C" __global__ void __launch_bounds__(NS_TILE)
    settle(const Projection q, const Build b, long long start) {
  const int width = 8 * sizeof(ns_synapse);
  unsigned long long kept = 0;
  for (long long s = blockIdx.x * NS_TILE + threadIdx.x; s < q.n_rows; s += gridDim.x * NS_TILE) {
    const long long pool = q.n_columns - (ns_excluded(q, s) >= 0), before = b.counts[s];
    long long count = before;
    for (long long at = b.row[s]; at < b.row[s + 1]; at++) {
      const ns_synapse word = b.synapses[at];
      const ns_synapse k = word >> 1 | word << (width - 1);
      count += ns_choice(q, start + (long long)k).trial < pool - count;
    }
    b.counts[s] = (unsigned)count;
    kept += (unsigned long long)(count - before);
  }
  if (kept) atomicAdd(b.measured + NS_N_SYNAPSES, kept);
}
