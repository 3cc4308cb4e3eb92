// Injected currents: a pure function of neuron and step, as neurosim.lower.injection has it.

__device__ __forceinline__ double ns_stepped_current(const Current& j, long long t) {
  long long below = 0, above = j.n_steps;  // how many changes lie before this step
  while (below < above) {
    const long long middle = (below + above) / 2;
    if (j.steps[middle] < t) below = middle + 1;
    else above = middle;
  }
  return below ? j.values[below - 1] : 0.0;
}

__device__ __forceinline__ double ns_noise_current(const Current& j, long long i, long long t) {
  if (t <= j.first || t > j.last) return 0.0;
  const long long interval = (t - 1 - j.first) / j.every;
  return j.mean + j.std * ns_normal(ns_words((uint32_t)i, interval, 0, j.key).w0);
}

// The current into neuron i of a population during step t, added up in the order of the list.
__device__ __forceinline__ REAL ns_injected(const Population& p, long long i, long long t) {
  REAL total = REAL(0.0);
  for (int k = 0; k < (int)p.n_currents; k++) {
    const Current& j = p.currents[k];
    if (i < j.begin || i >= j.end || (j.members && !j.members[i - j.begin])) continue;
    const double value = j.n_steps ? ns_stepped_current(j, t) : ns_noise_current(j, i, t);
    total = (REAL)((double)total + value);
  }
  return total;
}
