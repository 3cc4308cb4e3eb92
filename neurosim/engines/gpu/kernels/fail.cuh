// Note the first step (and in it the first source) at which a state was no number.
__device__ __forceinline__ void ns_fail(const Net& net, long long step, long long source) {
  atomicMin(net.failure, ((unsigned long long)step << 32) | (unsigned long long)source);
}
