// cuemu: run CUDA C++ kernels on a CPU, for tests on machines without a GPU.
//
// The kernel source is compiled unchanged by g++ (C++17). Each CUDA thread is a fiber with a stack
// of its own; all fibers share one host thread and give way to each other where a CUDA thread could
// be overtaken: at barriers, warp operations and (with a seed) atomics. This header is what a
// kernel's library sees; what runs it is in cuemu.cpp, compiled once for all of them. The names of
// CUDA are in cuda_names.h, which is built on this file.
//
// What it checks
//   deadlock      a barrier that not all live threads reach: run() returns 1 and names block,
//                 thread, kind of barrier and line
//   order         with a seed, threads and blocks run in a random order, drawn anew at every barrier
//   shared memory begins as 0xCD bytes, one heap block for each CUDA block and array
//   bounds        compile with -fsanitize=address
//   data races    compile with -fsanitize=thread: each fiber is a thread to the detector, and only
//                 the barriers of the kernel order its accesses
// What it cannot show: weak memory order, contraction and last digits of the device's functions,
// limits of occupancy, time.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

namespace cuemu {

// What a CUDA thread knows of itself.
struct Thread {
  uint3 thread_id{}, block_id{};
  unsigned lane = 0;
};

extern Thread* current;
extern dim3 grid_dim, block_dim;
extern size_t dynamic_bytes;

enum Vote { kAny, kAll, kCount };

void give_way();
int sync_block(int value, Vote vote, unsigned line);
void arrive_grid(unsigned line);
void wait_grid(unsigned line);
unsigned lanes_present();
const uint64_t* exchange(unsigned mask, uint64_t value, unsigned line);
void* shared_array(unsigned id, size_t bytes);
int launch(void (*kernel)(void**), void** arguments, const unsigned* grid, const unsigned* block,
           bool is_cooperative, uint64_t seed, size_t shared);

template <class... A, size_t... I>
static void call(void (*f)(A...), void** a, std::index_sequence<I...>) {
  f(*static_cast<std::remove_const_t<A>*>(a[I])...);
}

template <class... A>
static void unpack(void (*f)(A...), void** a) {
  call(f, a, std::index_sequence_for<A...>{});
}

}  // namespace cuemu

#define CUEMU_EXPORT(name)                                                                    \
  extern "C" int cuemu_launch_##name(const unsigned* g, const unsigned* b, void** arguments,  \
                                     int is_cooperative, uint64_t seed, size_t shared) {      \
    return cuemu::launch([](void** a) { cuemu::unpack(name, a); }, arguments, g, b,           \
                         is_cooperative, seed, shared);                                       \
  }
