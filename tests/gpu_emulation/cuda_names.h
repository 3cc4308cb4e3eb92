// The names of CUDA C++ that kernels use, on top of cuemu.h.
#pragma once
#include "cuemu.h"

#define __global__
#define __device__ static
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__
#define __align__(n) __attribute__((aligned(n)))

#define threadIdx (cuemu::current->thread_id)
#define blockIdx (cuemu::current->block_id)
#define blockDim (cuemu::block_dim)
#define gridDim (cuemu::grid_dim)
#define warpSize 32

// What device.cuh has for GPUs: shared memory, the grid's barrier, half precision.
#define NS_SHARED(T, name, n) \
  T* const name = static_cast<T*>(cuemu::shared_array(__COUNTER__, sizeof(T) * (n)))
#define NS_DYNAMIC_SHARED(name) \
  unsigned char* const name = \
      static_cast<unsigned char*>(cuemu::shared_array(__COUNTER__, cuemu::dynamic_bytes))
#define NS_GRID_SYNC() (cuemu::arrive_grid(__LINE__), cuemu::wait_grid(__LINE__))
#define NS_GRID_ARRIVE() (cuemu::arrive_grid(__LINE__), 0u)
#define NS_GRID_WAIT(token) ((void)(token), cuemu::wait_grid(__LINE__))

static inline unsigned short ns_half_bits(float x) {
  const _Float16 half = _Float16(x);
  unsigned short bits;
  std::memcpy(&bits, &half, sizeof bits);
  return bits;
}
static inline float ns_half_value(unsigned short bits) {
  _Float16 half;
  std::memcpy(&half, &bits, sizeof half);
  return float(half);
}

#define __syncthreads() ((void)cuemu::sync_block(0, cuemu::kAny, __LINE__))
#define __syncthreads_or(v) cuemu::sync_block(v, cuemu::kAny, __LINE__)
#define __syncthreads_and(v) cuemu::sync_block(v, cuemu::kAll, __LINE__)
#define __syncthreads_count(v) cuemu::sync_block(v, cuemu::kCount, __LINE__)

static inline unsigned cuemu_mask(unsigned mask = 0xffffffffu) { return mask; }
#define __syncwarp(...) ((void)cuemu::exchange(cuemu_mask(__VA_ARGS__), 0, __LINE__))

static inline unsigned cuemu_ballot(unsigned mask, int vote, unsigned line) {
  const uint64_t* votes = cuemu::exchange(mask, vote != 0, line);
  const unsigned lanes = mask & cuemu::lanes_present();
  unsigned result = 0;
  for (int i = 0; i < 32; i++)
    if (lanes >> i & 1) result |= unsigned(votes[i]) << i;
  return result;
}
#define __ballot_sync(mask, vote) cuemu_ballot(mask, vote, __LINE__)
#define __any_sync(mask, vote) (cuemu_ballot(mask, vote, __LINE__) != 0)
#define __all_sync(mask, vote) (cuemu_ballot(mask, !(vote), __LINE__) == 0)

template <class T>
static inline T cuemu_shuffle(unsigned mask, T value, int source, unsigned line) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = cuemu::exchange(mask, bits, line)[source & 31];
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
static inline int cuemu_near(int by) {  // the lane at a distance, or this one if there is none
  const int lane = int(cuemu::current->lane) + by;
  return lane < 0 || lane > 31 ? int(cuemu::current->lane) : lane;
}
#define __shfl_sync(mask, v, source) cuemu_shuffle(mask, v, source, __LINE__)
#define __shfl_xor_sync(mask, v, x) \
  cuemu_shuffle(mask, v, int(cuemu::current->lane ^ (x)), __LINE__)
#define __shfl_down_sync(mask, v, by) cuemu_shuffle(mask, v, cuemu_near(int(by)), __LINE__)
#define __shfl_up_sync(mask, v, by) cuemu_shuffle(mask, v, cuemu_near(-int(by)), __LINE__)

static inline void __threadfence() {}
static inline void __threadfence_block() {}

// ---- atomics: compare and swap in a loop, at any point of which another thread may come first

template <size_t n>
struct cuemu_word;
template <>
struct cuemu_word<4> {
  using type = uint32_t;
};
template <>
struct cuemu_word<8> {
  using type = uint64_t;
};

template <class T, class F>
static inline T cuemu_update(T* place, F change) {
  using Word = typename cuemu_word<sizeof(T)>::type;
  cuemu::give_way();
  Word* word = reinterpret_cast<Word*>(place);
  Word before = __atomic_load_n(word, __ATOMIC_RELAXED), after;
  T old;
  do {
    std::memcpy(&old, &before, sizeof old);
    const T changed = change(old);
    std::memcpy(&after, &changed, sizeof changed);
  } while (!__atomic_compare_exchange_n(word, &before, after, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
  return old;
}

template <class T>
struct cuemu_same {
  using type = T;
};
#define CUEMU_ATOMIC(name, result)                                    \
  template <class T>                                                  \
  static inline T name(T* place, typename cuemu_same<T>::type v) {    \
    return cuemu_update(place, [=](T old) -> T { return result; });   \
  }
CUEMU_ATOMIC(atomicAdd, old + v)
CUEMU_ATOMIC(atomicExch, v)
CUEMU_ATOMIC(atomicMax, old > v ? old : v)
CUEMU_ATOMIC(atomicMin, old < v ? old : v)
CUEMU_ATOMIC(atomicOr, old | v)
CUEMU_ATOMIC(atomicAnd, old & v)
template <class T>
static inline T atomicCAS(T* place, typename cuemu_same<T>::type expected,
                          typename cuemu_same<T>::type v) {
  return cuemu_update(place, [=](T old) -> T { return old == expected ? v : old; });
}

// ---- intrinsics

static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
static inline unsigned __umulhi(unsigned a, unsigned b) {
  return unsigned((uint64_t(a) * b) >> 32);
}
template <class To, class From>
static inline To cuemu_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
static inline float __int_as_float(int x) { return cuemu_bits<float>(x); }
static inline int __float_as_int(float x) { return cuemu_bits<int>(x); }
static inline double __longlong_as_double(long long x) { return cuemu_bits<double>(x); }
static inline long long __double_as_longlong(double x) { return cuemu_bits<long long>(x); }
