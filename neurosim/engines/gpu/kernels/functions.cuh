// Functions of the equation language in the precision of the kernel, REAL. exp and exprel are the
// polynomials of the CPU engine (kernels/functions.py): the same operations in the same order, so
// that both give the same bits where products and sums are not contracted.

template <class T>
__device__ __forceinline__ T ns_min(T a, T b) { return a < b ? a : b; }
template <class T>
__device__ __forceinline__ T ns_max(T a, T b) { return a > b ? a : b; }

__device__ __forceinline__ double ns_log(double x) { return log(x); }
__device__ __forceinline__ float ns_log(float x) { return logf(x); }
__device__ __forceinline__ double ns_sqrt(double x) { return sqrt(x); }
__device__ __forceinline__ float ns_sqrt(float x) { return sqrtf(x); }
__device__ __forceinline__ double ns_sin(double x) { return sin(x); }
__device__ __forceinline__ float ns_sin(float x) { return sinf(x); }
__device__ __forceinline__ double ns_cos(double x) { return cos(x); }
__device__ __forceinline__ float ns_cos(float x) { return cosf(x); }
__device__ __forceinline__ double ns_tanh(double x) { return tanh(x); }
__device__ __forceinline__ float ns_tanh(float x) { return tanhf(x); }
__device__ __forceinline__ double ns_abs(double x) { return fabs(x); }
__device__ __forceinline__ float ns_abs(float x) { return fabsf(x); }
__device__ __forceinline__ double ns_pow(double x, double y) { return pow(x, y); }
__device__ __forceinline__ float ns_pow(float x, float y) { return powf(x, y); }

__device__ __forceinline__ double ns_exp(double x) {
  x = ns_min(ns_max(x, -708.0), 709.0);
  const double t = x * 1.4426950408889634 + 6755399441055744.0;  // rounds: 1.5 * 2**52
  const double k = t - 6755399441055744.0;
  const double r = (x - k * 0.693145751953125) - k * 1.4286068203094173e-06;
  double p = NS_FACTOR13;
  p = p * r + NS_FACTOR12;
  p = p * r + NS_FACTOR11;
  p = p * r + NS_FACTOR10;
  p = p * r + NS_FACTOR9;
  p = p * r + NS_FACTOR8;
  p = p * r + NS_FACTOR7;
  p = p * r + NS_FACTOR6;
  p = p * r + NS_FACTOR5;
  p = p * r + NS_FACTOR4;
  p = p * r + NS_FACTOR3;
  p = p * r + NS_FACTOR2;
  p = p * r + 1.0;
  p = p * r + 1.0;
  const uint64_t bits = (uint64_t)__double_as_longlong(t) + 1023u;
  return p * __longlong_as_double((long long)(bits << 52));
}

__device__ __forceinline__ float ns_exp(float x) {
  x = ns_min(ns_max(x, -87.0f), 88.0f);
  const float t = x * (float)1.4426950408889634 + 12582912.0f;
  const float k = t - 12582912.0f;
  const float r = (x - k * 0.693359375f) - k * (float)-2.12194440e-4;
  float p = (float)NS_FACTOR7;
  p = p * r + (float)NS_FACTOR6;
  p = p * r + (float)NS_FACTOR5;
  p = p * r + (float)NS_FACTOR4;
  p = p * r + (float)NS_FACTOR3;
  p = p * r + (float)NS_FACTOR2;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const uint32_t bits = (uint32_t)__float_as_int(t) + 127u;
  return p * __int_as_float((int)(bits << 23));
}

// (exp(x) - 1)/x; by its series for |x| < 1/2, where the difference would cancel.
__device__ __forceinline__ double ns_exprel(double x) {
  const double r = ns_min(ns_max(x, -0.5), 0.5);
  double p = NS_FACTOR13 / 14.0;
  p = p * r + NS_FACTOR13;
  p = p * r + NS_FACTOR12;
  p = p * r + NS_FACTOR11;
  p = p * r + NS_FACTOR10;
  p = p * r + NS_FACTOR9;
  p = p * r + NS_FACTOR8;
  p = p * r + NS_FACTOR7;
  p = p * r + NS_FACTOR6;
  p = p * r + NS_FACTOR5;
  p = p * r + NS_FACTOR4;
  p = p * r + NS_FACTOR3;
  p = p * r + NS_FACTOR2;
  p = p * r + 1.0;
  return r == x ? p : (ns_exp(x) - 1.0) / x;
}

__device__ __forceinline__ float ns_exprel(float x) {
  const float r = ns_min(ns_max(x, -0.5f), 0.5f);
  float p = (float)NS_FACTOR8;
  p = p * r + (float)NS_FACTOR7;
  p = p * r + (float)NS_FACTOR6;
  p = p * r + (float)NS_FACTOR5;
  p = p * r + (float)NS_FACTOR4;
  p = p * r + (float)NS_FACTOR3;
  p = p * r + (float)NS_FACTOR2;
  p = p * r + 1.0f;
  return r == x ? p : (ns_exp(x) - 1.0f) / x;
}
