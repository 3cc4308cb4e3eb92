// Rows of activity as lists of events, and sums over them. A block of NS_THREADS threads looks at
// NS_SPAN columns of a row at a time, each warp at a run of them.
#define NS_SPAN (NS_THREADS * NS_LOOKS)
#define NS_WARPS (NS_THREADS / 32)

// List the columns from `first` on whose value is not 0, ascending, with their values; returns how
// many. All threads of the block take part. The arrays are the block's own: column and value of
// NS_SPAN, counts of NS_WARPS elements.
template <class T>
__device__ int ns_compact(
    const T* row, long long first, long long n, int* column, REAL* value, int* counts) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const long long begin = first + warp * (32 * NS_LOOKS) + lane;
  REAL seen[NS_LOOKS];
  unsigned active[NS_LOOKS];
  int mine = 0;
#pragma unroll
  for (int k = 0; k < NS_LOOKS; k++) {
    const long long c = begin + 32 * k;
    seen[k] = c < n ? ns_load(row + c) : REAL(0.0);
    active[k] = __ballot_sync(0xffffffffu, seen[k] != REAL(0.0));
    mine += __popc(active[k]);
  }
  if (lane == 0) counts[warp] = mine;
  __syncthreads();  // the counts are complete, and the last list has been read
  int at = 0, total = 0;
  for (int w = 0; w < NS_WARPS; w++) {
    if (w < warp) at += counts[w];
    total += counts[w];
  }
#pragma unroll
  for (int k = 0; k < NS_LOOKS; k++) {
    if (seen[k] != REAL(0.0)) {
      const int place = at + __popc(active[k] & ((1u << lane) - 1u));
      column[place] = (int)(begin + 32 * k);
      value[place] = seen[k];
    }
    at += __popc(active[k]);
  }
  __syncthreads();  // the list is complete
  return total;
}

// Add one column of the rows of a table at events. Four at a time, as the CPU's kernels: their
// loads do not wait for each other.
template <class T>
__device__ __forceinline__ REAL ns_add_rows(
    REAL sum, const T* table, long long width, int n, const int* column, const REAL* value) {
  int p = 0;
  for (; p + 4 <= n; p += 4) {
    const REAL a = ns_load(table + column[p] * width), b = ns_load(table + column[p + 1] * width);
    const REAL c = ns_load(table + column[p + 2] * width);
    const REAL d = ns_load(table + column[p + 3] * width);
    sum += (value[p] * a + value[p + 1] * b) + (value[p + 2] * c + value[p + 3] * d);
  }
  for (; p < n; p++) sum += value[p] * ns_load(table + column[p] * width);
  return sum;
}

// A lag within its bounds. Delays that are not numbers have lags that mean nothing; their gains are
// not numbers either, which is how it shows.
__device__ __forceinline__ int ns_clamped(int lag, int largest) {
  return lag < 0 ? 0 : (lag > largest ? largest : lag);
}
