// Inputs delayed as a whole, with n_taps gains at the lags start[i] + k; x and out are [T, B, I].

// out[t, b, i] = sum over k of gains[i, k] * x[t - lag, b, i], or with `sign` 1 of x[t + lag, b, i]:
// the gradient of the input. One thread a value.
extern "C" __global__ void filter_axons(
    int T, int B, int I, int n_taps, int sign, const ROW* __restrict__ x,
    const int* __restrict__ start, const REAL* __restrict__ gains, REAL* __restrict__ out) {
  const long long row = (long long)B * I, stride = (long long)gridDim.x * blockDim.x;
  for (long long a = (long long)blockIdx.x * blockDim.x + threadIdx.x; a < T * row; a += stride) {
    const long long t = a / row, i = a % I;
    const int lag = ns_clamped(start[i], 1 << 30);
    REAL sum = REAL(0.0);
    for (int k = 0; k < n_taps; k++) {
      const long long at = t + sign * (long long)(lag + k);
      if (at >= 0 && at < T) sum += gains[i * n_taps + k] * ns_load(x + a + (at - t) * row);
    }
    out[a] = sum;
  }
}

// partial[c, k, i] = sum over t, b of x[t, b, i] * g[t + start[i] + k, b, i] for the c-th of so
// many parts of the rows (t, b). One thread a value; the parts are added up in their order after.
extern "C" __global__ void correlate_axons(
    int T, int B, int I, int n_taps, int parts, const ROW* __restrict__ x,
    const int* __restrict__ start, const REAL* __restrict__ g, REAL* __restrict__ partial) {
  const long long total = (long long)parts * n_taps * I, rows = (long long)T * B;
  const long long stride = (long long)gridDim.x * blockDim.x;
  for (long long a = (long long)blockIdx.x * blockDim.x + threadIdx.x; a < total; a += stride) {
    const long long i = a % I, part = a / I / n_taps;
    const long long shift = (ns_clamped(start[i], 1 << 30) + a / I % n_taps) * (long long)B;
    REAL sum = REAL(0.0);
    for (long long r = part * rows / parts; r < (part + 1) * rows / parts && r + shift < rows; r++)
      sum += ns_load(x + r * I + i) * g[(r + shift) * I + i];
    partial[a] = sum;
  }
}
