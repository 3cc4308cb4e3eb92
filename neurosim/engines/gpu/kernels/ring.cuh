// The ring of input to come: [n_slots][n_channels], n_slots a power of two. Slot t % n_slots holds
// what arrives at step t. A channel is one receptor of one neuron, or the spikes that a source is
// to send. A slot is zeroed by the neurons that read it, in the update of its step.
//
// With NS_DETERMINISTIC, amounts are integers in units of the channel's scale: their sum does not
// depend on the order of the additions. They have 64 bits, or 32 where the units are such that no sum
// needs more.

#if NS_DETERMINISTIC
__device__ __forceinline__ void ns_add(long long* place, long long amount) {
  atomicAdd((unsigned long long*)place, (unsigned long long)amount);  // two's complement
}
__device__ __forceinline__ void ns_add(int* place, int amount) {
  atomicAdd((unsigned*)place, (unsigned)amount);
}
__device__ __forceinline__ REAL ns_value(ns_amount amount, double scale) {
  return (REAL)((double)amount * scale);
}
#else
__device__ __forceinline__ void ns_add(ns_amount* place, ns_amount amount) {
  atomicAdd(place, amount);
}
__device__ __forceinline__ REAL ns_value(ns_amount amount, double) { return amount; }
#endif

__device__ __forceinline__ ns_amount* ns_slot(const Net& net, long long step) {
  return net.ring + (step & (net.n_slots - 1)) * net.n_channels;
}

// Take what arrives at a channel, and clear it for a later step.
__device__ __forceinline__ REAL ns_take(ns_amount* place, double scale) {
  const ns_amount amount = *place;
  *place = 0;
  return ns_value(amount, scale);
}
