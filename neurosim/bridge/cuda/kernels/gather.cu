// out[r] = bias + sum over columns c of x[r, c] * table[c], at the events of x only.
//
// x ROW [R, N], table TABLE [N, M], bias REAL [M] (if has_bias), out OUT [R, M]. A block takes one
// row and NS_THREADS columns of the result, each of which one thread sums in the order of events.
extern "C" __global__ void __launch_bounds__(NS_THREADS) gather(
    long long R, long long N, int M, int has_bias, const ROW* __restrict__ x,
    const TABLE* __restrict__ table, const REAL* __restrict__ bias, OUT* __restrict__ out) {
  NS_SHARED(int, column, NS_SPAN);
  NS_SHARED(REAL, value, NS_SPAN);
  NS_SHARED(int, counts, NS_WARPS);
  const long long tiles = (M + NS_THREADS - 1) / NS_THREADS;
  for (long long item = blockIdx.x; item < R * tiles; item += gridDim.x) {
    const long long r = item / tiles;
    const int j = (int)(item % tiles) * NS_THREADS + threadIdx.x;
    REAL sum = has_bias && j < M ? bias[j] : REAL(0.0);
    for (long long first = 0; first < N; first += NS_SPAN) {
      const int n = ns_compact(x + r * N, first, N, column, value, counts);
      if (j < M) sum = ns_add_rows(sum, table + j, M, n, column, value);
    }
    if (j < M) ns_store(out + r * M + j, sum);
  }
}
