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

// What exp depends on: the limits of its argument, the number whose addition rounds to integers
// (1.5 * 2**52, 1.5 * 2**23), ln 2 in two parts, and how many terms of the series are needed.
template <class T>
struct ns_exp_form;
template <>
struct ns_exp_form<double> {
  static constexpr double lowest = -708.0, highest = 709.0, rounds = 6755399441055744.0;
  static constexpr double ln2_high = 0.693145751953125, ln2_low = 1.4286068203094173e-06;
  static constexpr int order = 13;
};
template <>
struct ns_exp_form<float> {
  static constexpr float lowest = -87.0f, highest = 88.0f, rounds = 12582912.0f;
  static constexpr float ln2_high = 0.693359375f, ln2_low = (float)-2.12194440e-4;
  static constexpr int order = 7;
};

// 2**k for t = k + `rounds`.
__device__ __forceinline__ double ns_power_of_two(double t) {
  const uint64_t bits = (uint64_t)__double_as_longlong(t) + 1023u;
  return __longlong_as_double((long long)(bits << 52));
}
__device__ __forceinline__ float ns_power_of_two(float t) {
  const uint32_t bits = (uint32_t)__float_as_int(t) + 127u;
  return __int_as_float((int)(bits << 23));
}

// 1/last! + r/(last + 1)! + ... + r**(order - last)/order!
template <int order, int last, class T>
__device__ __forceinline__ T ns_series(T r) {
  const double factors[] = {1.0, 1.0, NS_FACTOR2, NS_FACTOR3, NS_FACTOR4, NS_FACTOR5, NS_FACTOR6,
                            NS_FACTOR7, NS_FACTOR8, NS_FACTOR9, NS_FACTOR10, NS_FACTOR11,
                            NS_FACTOR12, NS_FACTOR13, NS_FACTOR13 / 14.0};
  T p = (T)factors[order];
#pragma unroll
  for (int k = order - 1; k >= last; k--) p = p * r + (T)factors[k];
  return p;
}

template <class T>
__device__ __forceinline__ T ns_exp(T x) {
  typedef ns_exp_form<T> Form;
  x = ns_min(ns_max(x, Form::lowest), Form::highest);
  const T t = x * (T)1.4426950408889634 + Form::rounds;
  const T k = t - Form::rounds;
  const T r = (x - k * Form::ln2_high) - k * Form::ln2_low;
  return ns_series<Form::order, 0>(r) * ns_power_of_two(t);
}

// (exp(x) - 1)/x; by its series for |x| < 1/2, where the difference would cancel.
template <class T>
__device__ __forceinline__ T ns_exprel(T x) {
  const T r = ns_min(ns_max(x, (T)-0.5), (T)0.5);
  const T p = ns_series<ns_exp_form<T>::order + 1, 1>(r);
  return r == x ? p : (ns_exp(x) - (T)1.0) / x;
}
