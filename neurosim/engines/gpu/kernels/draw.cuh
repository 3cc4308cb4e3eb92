// Rows of synapses from the counters of neurosim.lower.expand: the same draws in the same order of
// operations, so that the same seed gives the same synapses. Sources that contain this file are
// compiled without contraction.
//
// A row is a source, or a target where each target draws its sources (by_target); the other side
// is its column. One call of Philox with the counter (row, number) gives a synapse: words 0 and 3
// its column, 1 its weight, 2 its delay. 32 neighbouring threads share a row.

struct Edge {
  long long row, column, listed;  // views' indices; place in a list of given synapses
  uint32_t number, weight, delay;  // of the draw; words
};

struct Synapse {
  long long source, channel, steps;
  double weight, delay, unit;  // as the receptor sees it; ms; of what is stored
  bool negative;
};

__device__ __forceinline__ double ns_drawn(long long kind, const double (&p)[4],
                                           uint32_t word) {
  if (kind == NS_CONSTANT) return p[0];
  const double u = ns_uniform(word);
  if (kind == NS_UNIFORM) return p[0] + p[1] * u;
  if (kind == NS_NORMAL) return p[0] + p[1] * ns_quantile(p[2] + p[3] * u);
  if (kind == NS_LOGNORMAL) return ns_draw_exp(p[0] + p[1] * ns_quantile(u));
  return -p[0] * ns_draw_log(1.0 - u);
}

__device__ __forceinline__ double ns_edge_delay(const Projection& q, const Edge& e) {
  if (q.list_delay) return q.list_delay[e.listed];
  return ns_drawn(q.delay_kind, q.delay, e.delay);
}

__device__ __forceinline__ Synapse ns_synapse_of(const Projection& q, const Edge& e) {
  Synapse s;
  const long long pre = q.by_target ? e.column : e.row, post = q.by_target ? e.row : e.column;
  s.source = q.pre_ids ? q.pre_ids[pre] : pre;
  s.delay = ns_edge_delay(q, e);
  s.steps = (long long)ns_min(rint(s.delay / q.dt), NS_LONGEST);
  s.weight = q.list_weight ? q.list_weight[e.listed]
                           : ns_drawn(q.weight_kind, q.weight, e.weight);
  s.negative = s.weight < 0.0;
  s.channel = (s.negative ? q.negative : q.positive) + (q.post_ids ? q.post_ids[post] : post);
  s.unit = s.negative ? q.negative_unit : q.positive_unit;
  s.weight = (q.absolute ? ns_abs(s.weight) : s.weight) + 0.0;  // never -0.0
  return s;
}

// Turn a position among the allowed columns into a column.
__device__ __forceinline__ long long ns_around(long long position, long long excluded) {
  return position + (excluded >= 0 && position >= excluded);
}

__device__ __forceinline__ long long ns_excluded(const Projection& q, long long row) {
  return q.excluded ? q.excluded[row] : -1;
}

__device__ __forceinline__ long long ns_degree(const Projection& q, long long row) {
  return q.degrees ? q.degrees[row] : q.degree;
}

__device__ __forceinline__ long long ns_below(long long n, uint32_t high, uint32_t low) {
  const uint64_t size = (uint64_t)n;
  return (long long)((high * size + ((low * size) >> 32)) >> 32);
}

// A synapse that can be drawn without those before it: its column, except by skips.
__device__ __forceinline__ Edge ns_edge(const Projection& q, long long row, uint32_t number,
                                        double* gap) {
  const Words w = ns_philox((uint32_t)row, number, NS_EDGE, 0, q.key);
  const long long excluded = ns_excluded(q, row);
  Edge e = {row, 0, 0, number, w.w1, w.w2};
  if (q.mode == NS_SKIP) {
    const uint64_t bits = ((uint64_t)w.w0 << 20) | (w.w3 >> 12);
    const double u = ((double)bits + 0.5) * 2.220446049250313e-16;
    *gap = floor(ns_draw_log(u) * q.inverse_log);
  } else if (q.mode == NS_ALL) {
    e.column = ns_around(number, excluded);
  } else if (q.mode == NS_ONE) {
    e.column = row;
  } else {
    e.column = ns_around(ns_below(q.n_columns - (excluded >= 0), w.w0, w.w3), excluded);
  }
  return e;
}

// Geometric skips: 32 gaps at a time, added up over the threads.
template <class Take>
__device__ __forceinline__ long long ns_skip(const Projection& q, long long row, Take take) {
  const int lane = threadIdx.x & 31;
  const long long excluded = ns_excluded(q, row), pool = q.n_columns - (excluded >= 0);
  long long position = -1, found = 0;
  for (uint32_t number = lane;; number += 32) {
    double gap = 0.0;
    Edge e = ns_edge(q, row, number, &gap);
    long long reach = 1 + (long long)ns_min(gap, (double)q.n_columns);
#pragma unroll
    for (int by = 1; by < 32; by *= 2) {
      const long long before = __shfl_up_sync(0xffffffffu, reach, by);
      if (lane >= by) reach += before;
    }
    reach += position;
    const bool inside = reach < pool;
    e.column = ns_around(reach, excluded);
    take(inside, e, found + lane);
    const int n = __popc(__ballot_sync(0xffffffffu, inside));
    found += n;
    if (n < 32) return found;
    position = __shfl_sync(0xffffffffu, reach, 31);
  }
}

// Different columns: a draw counts unless one with a smaller number has the same column. `table`
// holds column and smallest number of what was drawn: its size is a power of two, at least twice
// the degree and what is drawn beyond it.
template <class Take>
__device__ __forceinline__ long long ns_unique(const Projection& q, long long row,
                                               unsigned long long* table, long long table_size,
                                               Take take) {
  const int lane = threadIdx.x & 31;
  const unsigned long long none = ~0ull, mask = (unsigned long long)table_size - 1;
  const long long degree = ns_degree(q, row);
  for (long long k = lane; k < table_size; k += 32) table[k] = none;
  __syncwarp();
  long long found = 0;
  for (uint32_t number = lane; found < degree; number += 32) {
    const Edge e = ns_edge(q, row, number, 0);
    const unsigned long long mine = (unsigned long long)e.column << 32 | number;
    unsigned long long place = ((unsigned long long)e.column * 0x9E3779B97F4A7C15ull >> 32) & mask;
    for (;; place = (place + 1) & mask) {
      const unsigned long long there = atomicCAS(&table[place], none, mine);
      if (there == none) break;
      if (there >> 32 != (unsigned long long)e.column) continue;
      atomicMin(&table[place], mine);
      break;
    }
    __syncwarp();
    const bool first = table[place] == mine;
    const unsigned votes = __ballot_sync(0xffffffffu, first);
    const long long rank = found + __popc(votes & ((1u << lane) - 1));
    take(first && rank < degree, e, rank);
    found = ns_min(degree, found + __popc(votes));
  }
  return found;
}

// Give all synapses of a row to `take(is one, edge, rank in the row)`, which all 32 threads call
// together; returns how many there are.
template <class Take>
__device__ __forceinline__ long long ns_walk(const Projection& q, long long row,
                                             unsigned long long* table, long long table_size,
                                             Take take) {
  if (q.mode == NS_SKIP) return ns_skip(q, row, take);
  if (q.mode == NS_UNIQUE) return ns_unique(q, row, table, table_size, take);
  const long long degree = ns_degree(q, row);
  for (long long number = threadIdx.x & 31; number - (threadIdx.x & 31) < degree; number += 32)
    take(number < degree, ns_edge(q, row, (uint32_t)number, 0), number);
  return degree;
}
