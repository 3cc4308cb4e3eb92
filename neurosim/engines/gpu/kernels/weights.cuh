// How a weight is stored, and what it adds to the ring of input. The unit is that of the channel
// (with NS_DETERMINISTIC) or of the row (half precision), a power of two.

#if NS_HALF
__device__ __forceinline__ ns_weight ns_stored(double weight, double unit) {
  return ns_half_bits((float)(weight * unit));
}
#elif NS_DETERMINISTIC
__device__ __forceinline__ ns_weight ns_stored(double weight, double unit) {
  return (ns_weight)rint(weight * unit);
}
#else
__device__ __forceinline__ ns_weight ns_stored(double weight, double) { return (ns_weight)weight; }
#endif

// The amount of a stored weight; `factor` is that of its row.
__device__ __forceinline__ ns_amount ns_amount_of(ns_weight stored, double factor) {
#if NS_HALF
  return (ns_amount)(ns_half_value(stored) * (REAL)factor);
#else
  return (ns_amount)stored;
#endif
}
