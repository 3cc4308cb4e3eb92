// What differs between compilers: nvcc or NVRTC, and g++ with the emulation layer of the tests,
// which defines NS_SHARED, the barriers and the functions of half precision itself. Nothing is
// included on the device.
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;

#define NS_SHARED(T, name, n) __shared__ T name[n]
// Shared memory whose size the launch says.
#define NS_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]

// Barrier of all blocks; needs a cooperative launch. Each block adds one, the first block what is
// missing to half the range, so the top bit flips when all have arrived and the counter never
// needs a reset. The release of the addition and the acquire of the load order everything that
// was written before the barrier ahead of what is read after it; __syncthreads extends both to
// the other threads of a block. Between its arrival and its wait a block may do what no other block
// reads or writes.
__device__ unsigned ns_arrived;

__device__ __forceinline__ unsigned ns_grid_arrive() {
  unsigned before = 0;
  __syncthreads();
  if (threadIdx.x == 0) {
    const unsigned mine = blockIdx.x == 0 ? 0x80000000u - (gridDim.x - 1) : 1u;
    asm volatile("atom.add.release.gpu.u32 %0,[%1],%2;"
                 : "=r"(before) : "l"(&ns_arrived), "r"(mine) : "memory");
  }
  return before;
}

__device__ __forceinline__ void ns_grid_wait(unsigned before) {
  if (threadIdx.x == 0) {
    unsigned now;
    do {
      asm volatile("ld.acquire.gpu.u32 %0,[%1];" : "=r"(now) : "l"(&ns_arrived) : "memory");
    } while (((before ^ now) & 0x80000000u) == 0);
  }
  __syncthreads();
}
#define NS_GRID_ARRIVE() ns_grid_arrive()
#define NS_GRID_WAIT(token) ns_grid_wait(token)
#define NS_GRID_SYNC() ns_grid_wait(ns_grid_arrive())

// Half precision as 16 bits, rounded to the nearest, ties to even.
__device__ __forceinline__ unsigned short ns_half_bits(float x) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
__device__ __forceinline__ float ns_half_value(unsigned short bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}

#endif

// Threads of a block, which is also the number of neurons that a block updates at a time.
#ifndef NS_TILE
#define NS_TILE 256
#endif
// Blocks that are resident on a multiprocessor: registers need not be saved for more.
#ifndef NS_RESIDENT
#define NS_RESIDENT 4
#endif
// Synapses of a work item of the delivery: a block does NS_TILE / NS_CHUNK of them at a time.
#ifndef NS_CHUNK
#define NS_CHUNK 128
#endif
// Shared memory in which the synapses of a row are sorted, if they fit.
#ifndef NS_SORT_BYTES
#define NS_SORT_BYTES 32768
#endif
