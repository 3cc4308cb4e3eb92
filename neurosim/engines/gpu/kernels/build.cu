// Build: the synapses of one projection after the other are counted, then put into their rows;
// at last each row is ordered by delay, channel and weight.
//
// counts[row]   synapses of each row of the table: gathered by `measure`, and again by `fill`,
//               which takes places from them. A row of the table belongs to a source. Where the
//               projection is drawn source by source, 32 threads own it and no addition is atomic.
// degrees[channel]  synapses that reach each channel, if it is wanted
// measured[]    what the host has to know of the projection
// tables[]      for each 32 threads what they drew (ns_unique)

// Ascending order of numbers as order of words.
__device__ __forceinline__ unsigned long long ns_ordered(double x) {
  const unsigned long long bits = (unsigned long long)__double_as_longlong(x);
  return bits >> 63 ? ~bits : bits | 1ull << 63;
}

// Each 32 threads take rows in turn, or listed synapses: `take` gets them, `end` the row's number.
template <class Take, class End>
__device__ __forceinline__ void ns_projection(const Projection& q, const Build& b, Take take,
                                              End end) {
  const int lane = threadIdx.x & 31;
  const long long first = blockIdx.x * (NS_TILE / 32) + threadIdx.x / 32;
  const long long width = gridDim.x * (NS_TILE / 32);
  if (q.mode == NS_LIST) {
    for (long long k = first * 32 + lane; k < q.n_rows; k += width * 32) {
      const uint32_t number = q.list_number ? q.list_number[k] : 0;
      const Words w = ns_philox(q.list_row[k], number, NS_EDGE, 0, q.key);
      const Edge e = {q.list_row[k], q.list_column[k], k, number, w.w1, w.w2};
      take(true, e, 0);
    }
    return;
  }
  if (q.mode == NS_UNIQUE && first >= b.n_tables) return;
  const long long step = q.mode == NS_UNIQUE ? ns_min(width, b.n_tables) : width;
  unsigned long long* table = b.tables + first * b.table_size;
  for (long long row = first; row < q.n_rows; row += step) {
    const long long found = ns_walk(q, row, table, b.table_size, take);
#if NS_PLANT_RACE != 2  // the tests leave this barrier out, to see that the race is found
    __syncwarp();  // all have read where the row goes on
#endif
    if (lane == 0) end(row, found);
  }
}

__device__ __forceinline__ bool ns_owns_rows(const Projection& q) {
  return !q.by_target && q.mode != NS_LIST;
}

__device__ __forceinline__ long long ns_table_row(const Projection& q, long long row) {
  return q.first_row + (q.pre_ids ? q.pre_ids[row] : row);
}

extern "C" __global__ void __launch_bounds__(NS_TILE) measure(const Projection q, const Build b) {
  long long longest = 0;
  double positive = 0.0, negative = 0.0, least = NS_INFINITY;
  unsigned long long n = 0;
  auto take = [&](bool valid, const Edge& e, long long) {
    if (!valid) return;
    const Synapse s = ns_synapse_of(q, e);
    longest = ns_max(longest, s.steps);
    if (s.negative) negative = ns_max(negative, ns_abs(s.weight));
    else positive = ns_max(positive, ns_abs(s.weight));
    least = ns_min(least, ns_abs(s.weight));
    if (s.steps < 1) {
      const unsigned long long place = (unsigned long long)e.row << 32 | e.number;
      atomicAdd(b.measured + NS_N_SHORT, 1ull);
      atomicMin(b.measured + NS_FIRST_SHORT, place);
      atomicMin(b.measured + NS_SMALLEST, ns_ordered(s.delay));
      if (place == b.find) b.measured[NS_SHORT_COLUMN] = (unsigned long long)e.column;
    }
    if (b.degrees) atomicAdd(b.degrees + s.channel, 1u);
    if (ns_owns_rows(q)) return;
    n++;
    if (b.counts) atomicAdd(b.counts + q.first_row + s.source, 1u);
  };
  ns_projection(q, b, take, [&](long long row, long long found) {
    if (!ns_owns_rows(q)) return;
    n += (unsigned long long)found;
    if (b.counts) b.counts[ns_table_row(q, row)] += (unsigned)found;
  });
  if (n) atomicAdd(b.measured + NS_N_SYNAPSES, n);
  if (longest) atomicMax(b.measured + NS_LONGEST_DELAY, (unsigned long long)longest);
  if (positive > 0.0) atomicMax(b.measured + NS_POSITIVE, ns_ordered(positive));
  if (negative > 0.0) atomicMax(b.measured + NS_NEGATIVE, ns_ordered(negative));
  if (least < NS_INFINITY) atomicMin(b.measured + NS_LEAST, ns_ordered(least));
}

// Fill an array with n copies of each value.
extern "C" __global__ void __launch_bounds__(NS_TILE)
    repeat(ns_weight* out, const double* values, long long n, long long size) {
  for (long long k = (long long)blockIdx.x * NS_TILE + threadIdx.x; k < size;
       k += (long long)gridDim.x * NS_TILE)
    out[k] = (ns_weight)values[k / n];
}

extern "C" __global__ void __launch_bounds__(NS_TILE) fill(const Projection q, const Build b) {
  auto take = [&](bool valid, const Edge& e, long long rank) {
    if (!valid) return;
    const Synapse s = ns_synapse_of(q, e);
    const long long row = q.first_row + s.source;
    long long at = b.row[row];
    if (ns_owns_rows(q)) at += b.counts[row] + rank;
    else at += atomicAdd(b.counts + row, 1u);
    b.synapses[at] = (ns_synapse)s.channel << b.delay_bits | (ns_synapse)s.steps;
    if (at < b.n_weighted) b.weights[at] = ns_stored(s.weight, s.unit);
  };
  ns_projection(q, b, take, [&](long long row, long long found) {
    if (ns_owns_rows(q)) b.counts[ns_table_row(q, row)] += (unsigned)found;
  });
}

// ---- order within rows

// Synapses of a row that shared memory holds.
#define NS_SORTED (NS_SORT_BYTES / (int)(sizeof(ns_synapse) + sizeof(ns_weight)))

// A network of comparisons that all put the smaller one first (the flipped form of Batcher's
// bitonic sort), so that what lies beyond the end can be taken for infinite and be left out.
__device__ __forceinline__ void ns_sort(ns_synapse* words, ns_weight* weights, int n,
                                        int delay_bits) {
  const int channel_bits = (int)(8 * sizeof(ns_synapse)) - delay_bits;
#pragma unroll 1
  for (int size = 2; size / 2 < n; size *= 2)
#pragma unroll 1
    for (int by = size / 2; by; by /= 2) {
#pragma unroll 1
      for (int k = threadIdx.x; k < n; k += NS_TILE) {
        const int other = by == size / 2 ? k ^ (size - 1) : k ^ by;
        if (other <= k || other >= n) continue;
        const ns_synapse a = words[k], b = words[other];
        const ns_synapse a_key = a >> delay_bits | a << channel_bits;
        const ns_synapse b_key = b >> delay_bits | b << channel_bits;
        if (a_key < b_key || (a_key == b_key && !(weights && weights[other] < weights[k])))
          continue;
        words[k] = b;
        words[other] = a;
        if (!weights) continue;
        const ns_weight weight = weights[k];
        weights[k] = weights[other];
        weights[other] = weight;
      }
      __syncthreads();
    }
}

extern "C" __global__ void __launch_bounds__(NS_TILE) sort_rows(const Build b) {
  NS_SHARED(ns_synapse, words, NS_SORTED);
  NS_SHARED(ns_weight, weights, NS_SORTED);
  for (long long row = blockIdx.x; row < b.n_rows; row += gridDim.x) {
    const long long begin = b.row[row];
    const int n = (int)(b.row[row + 1] - begin);
    if (n < 2) continue;
    ns_synapse* their_words = b.synapses + begin;
    ns_weight* their_weights = begin < b.n_weighted ? b.weights + begin : 0;
    if (n > NS_SORTED) {
      ns_sort(their_words, their_weights, n, (int)b.delay_bits);
      continue;
    }
#pragma unroll 1
    for (int k = threadIdx.x; k < n; k += NS_TILE) {
      words[k] = their_words[k];
      if (their_weights) weights[k] = their_weights[k];
    }
    __syncthreads();
    ns_sort(words, their_weights ? weights : 0, n, (int)b.delay_bits);
#pragma unroll 1
    for (int k = threadIdx.x; k < n; k += NS_TILE) {
      their_words[k] = words[k];
      if (their_weights) their_weights[k] = weights[k];
    }
    __syncthreads();
  }
}
