// Values of tensors: read and written in their own format, computed with in REAL.

struct ns_half { unsigned short bits; };
struct ns_bfloat { unsigned short bits; };

__device__ __forceinline__ float ns_widened(ns_half h) {
  float value;
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(h.bits));
#else
  _Float16 exact;
  memcpy(&exact, &h.bits, sizeof exact);
  value = (float)exact;
#endif
  return value;
}

__device__ __forceinline__ ns_half ns_half_of(float value) {  // to the nearest
  ns_half h;
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h.bits) : "f"(value));
#else
  const _Float16 rounded = (_Float16)value;
  memcpy(&h.bits, &rounded, sizeof rounded);
#endif
  return h;
}

__device__ __forceinline__ float ns_widened(ns_bfloat b) {
  return __int_as_float((int)((unsigned)b.bits << 16));
}

__device__ __forceinline__ ns_bfloat ns_bfloat_of(float value) {  // ties to even
  const unsigned bits = (unsigned)__float_as_int(value);
  const bool is_nan = value != value;
  const unsigned rounded = is_nan ? 0x7fc00000u : bits + 0x7fffu + (bits >> 16 & 1u);
  return ns_bfloat{(unsigned short)(rounded >> 16)};
}

__device__ __forceinline__ REAL ns_load(const ns_half* p) { return (REAL)ns_widened(*p); }
__device__ __forceinline__ REAL ns_load(const ns_bfloat* p) { return (REAL)ns_widened(*p); }
__device__ __forceinline__ REAL ns_load(const float* p) { return (REAL)*p; }
__device__ __forceinline__ REAL ns_load(const double* p) { return (REAL)*p; }
__device__ __forceinline__ void ns_store(ns_half* p, REAL v) { *p = ns_half_of((float)v); }
__device__ __forceinline__ void ns_store(ns_bfloat* p, REAL v) { *p = ns_bfloat_of((float)v); }
__device__ __forceinline__ void ns_store(float* p, REAL v) { *p = (float)v; }
__device__ __forceinline__ void ns_store(double* p, REAL v) { *p = (double)v; }
