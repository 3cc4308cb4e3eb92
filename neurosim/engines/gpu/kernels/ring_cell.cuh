// A neuron of the ring variant, as its step sees it: states and input lie in global memory.

struct RingCell {
  const Population* p;
  long long i;
  ns_amount* input;  // its first channel of the slot of this step
};

__device__ __forceinline__ REAL& ns_state(RingCell& cell, int k) {
  return cell.p->state[k * cell.p->n + cell.i];
}
__device__ __forceinline__ int& ns_until(RingCell& cell) { return cell.p->until[cell.i]; }
__device__ __forceinline__ REAL& ns_substep(RingCell& cell) { return cell.p->substep[cell.i]; }

// What arrives at a receptor in this step; it is read once.
__device__ __forceinline__ REAL ns_input(RingCell& cell, int k) {
  return ns_take(cell.input + k * cell.p->n, cell.p->scale[k]);
}
