// Synapses i -> j with n_taps weights at the lags start[i, j] + k:
//   out[t, b, j] = sum over i, k of taps[i, j, k] * x[t - start[i, j] - k, b, i]
// x ROW [T, B, I], start int [I, J], taps REAL [I, J, n_taps], out REAL [T, B, J].

// A block takes one sample and NS_THREADS targets. Input to come collects in a ring of `width`
// steps, [width, NS_THREADS], of which a thread touches the column of its own target only. It is in
// shared memory, NS_WIDTH steps, or where that is 0 in `rings`, one for each block.
extern "C" __global__ void __launch_bounds__(NS_THREADS) deliver(
    int T, int B, int I, int J, int n_taps, int width, const ROW* __restrict__ x,
    const int* __restrict__ start, const REAL* __restrict__ taps, REAL* rings,
    REAL* __restrict__ out) {
  NS_SHARED(int, column, NS_SPAN);
  NS_SHARED(REAL, value, NS_SPAN);
  NS_SHARED(int, counts, NS_WARPS);
#if NS_WIDTH
  NS_SHARED(REAL, shared_ring, NS_WIDTH * NS_THREADS);
#endif
  const int tiles = (J + NS_THREADS - 1) / NS_THREADS;
  for (long long item = blockIdx.x; item < (long long)B * tiles; item += gridDim.x) {
    const long long b = item / tiles;
    const int j = (int)(item % tiles) * NS_THREADS + threadIdx.x;
#if NS_WIDTH
    REAL* const ring = shared_ring + threadIdx.x;
#else
    REAL* const ring = rings + (long long)blockIdx.x * width * NS_THREADS + threadIdx.x;
#endif
    for (int slot = 0; slot < width; slot++) ring[slot * NS_THREADS] = REAL(0.0);
    int now = 0;
    for (long long t = 0; t < T; t++) {
      for (int first = 0; first < I; first += NS_SPAN) {
        const int n = ns_compact(x + (t * B + b) * I, first, I, column, value, counts);
        for (int p = 0; p < n && j < J; p++) {
          const long long synapse = (long long)column[p] * J + j;
          int slot = now + ns_clamped(start[synapse], width - n_taps);
          for (int k = 0; k < n_taps; k++, slot++)
            ring[(slot < width ? slot : slot - width) * NS_THREADS] +=
                taps[synapse * n_taps + k] * value[p];
        }
      }
      if (j < J) out[(t * B + b) * J + j] = ring[now * NS_THREADS];
      ring[now * NS_THREADS] = REAL(0.0);
      now = now + 1 < width ? now + 1 : 0;
    }
  }
}

// by_taps[i, j, k] = sum over t, b of x[t, b, i] * g[t + start[i, j] + k, b, j], at the events of x.
// Time is contiguous here: xt ROW [I, B, T], gt REAL [B, J, T]. A block takes an input, NS_THREADS
// targets and NS_GROUP taps.
extern "C" __global__ void __launch_bounds__(NS_THREADS) correlate(
    int T, int B, int I, int J, int n_taps, const ROW* __restrict__ xt,
    const int* __restrict__ start, const REAL* __restrict__ gt, REAL* __restrict__ by_taps) {
  NS_SHARED(int, column, NS_SPAN);
  NS_SHARED(REAL, value, NS_SPAN);
  NS_SHARED(int, counts, NS_WARPS);
  const int tiles = (J + NS_THREADS - 1) / NS_THREADS, groups = n_taps / NS_GROUP;
  const long long rows = (long long)B * T;
  for (long long item = blockIdx.x; item < (long long)I * tiles * groups; item += gridDim.x) {
    const int group = (int)(item % groups) * NS_GROUP;
    const long long i = item / groups / tiles;
    const int j = (int)(item / groups % tiles) * NS_THREADS + threadIdx.x;
    const int lag = j < J ? ns_clamped(start[i * J + j], 1 << 30) + group : 0;
    REAL sum[NS_GROUP];
    for (int k = 0; k < NS_GROUP; k++) sum[k] = REAL(0.0);
    for (long long first = 0; first < rows; first += NS_SPAN) {
      const int n = ns_compact(xt + i * rows, first, rows, column, value, counts);
      for (int p = 0; p < n && j < J; p++) {
        const int b = column[p] / T, at = column[p] - b * T + lag;
        const REAL* g = gt + ((long long)b * J + j) * T;
        for (int k = 0; k < NS_GROUP; k++)
          if (at + k < T) sum[k] += value[p] * g[at + k];
      }
    }
    for (int k = 0; k < NS_GROUP && j < J; k++)
      by_taps[(i * J + j) * n_taps + group + k] = sum[k];
  }
}

// outt[b, i, t] = sum over j, k of taps[i, j, k] * gt[b, j, t + start[i, j] + k]: the gradient of
// the input. A warp takes 32 steps of one input of one sample, so that it reads whole lines.
extern "C" __global__ void __launch_bounds__(NS_THREADS) pull_back(
    int T, int B, int I, int J, int n_taps, const int* __restrict__ start,
    const REAL* __restrict__ taps, const REAL* __restrict__ gt, REAL* __restrict__ outt) {
  const int tiles = (T + 31) / 32, lane = threadIdx.x % 32;
  const long long warp = (long long)blockIdx.x * NS_WARPS + threadIdx.x / 32;
  for (long long w = warp; w < (long long)B * tiles * I; w += (long long)gridDim.x * NS_WARPS) {
    const long long i = w % I, b = w / I / tiles;
    const int t = (int)(w / I % tiles) * 32 + lane;
    REAL sum = REAL(0.0);
    for (int j = 0; j < J; j++) {
      const long long synapse = i * J + j;
      const int at = t + ns_clamped(start[synapse], 1 << 30);
      const REAL* g = gt + (b * J + j) * T;
      for (int k = 0; k < n_taps; k++)
        if (at + k < T) sum += taps[synapse * n_taps + k] * g[at + k];
    }
    if (t < T) outt[(b * I + i) * T + t] = sum;
  }
}

// Adds to out[b, i] the same for the one step `first - 1`, whose spikes act from `first` on:
// sum over j, k of taps[i, j, k] * g[first + start[i, j] + k, b, j], with g REAL [T, B, J], start
// int [J, I] and taps REAL [J, n_taps, I], which neighbouring threads read side by side.
extern "C" __global__ void collect(
    int T, int B, int I, int J, int n_taps, int first, const int* __restrict__ start,
    const REAL* __restrict__ taps, const REAL* __restrict__ g, REAL* __restrict__ out) {
  const long long stride = (long long)gridDim.x * blockDim.x;
  for (long long a = (long long)blockIdx.x * blockDim.x + threadIdx.x; a < (long long)B * I;
       a += stride) {
    const long long b = a / I, i = a % I;
    REAL sum = REAL(0.0);
    for (long long j = 0; j < J; j++) {
      const int at = first + ns_clamped(start[j * I + i], 1 << 30);
      for (int k = 0; k < n_taps && at + k < T; k++)
        sum += taps[(j * n_taps + k) * I + i] * g[((at + k) * (long long)B + b) * J + j];
    }
    out[a] += sum;
  }
}
