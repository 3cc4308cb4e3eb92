// cuemu: run CUDA C++ kernels on a CPU, for tests on machines without a GPU.
//
// The kernel source is compiled unchanged by g++ (C++17). Each CUDA thread is a fiber with a stack
// of its own; all fibers share one host thread and give way to each other where a CUDA thread could
// be overtaken: at barriers, warp operations and (with a seed) atomics. The names of CUDA are in
// cuda_names.h, which is built on this file.
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
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
extern "C" {
void AnnotateIgnoreReadsBegin(const char*, int);
void AnnotateIgnoreReadsEnd(const char*, int);
void AnnotateIgnoreWritesBegin(const char*, int);
void AnnotateIgnoreWritesEnd(const char*, int);
}
#endif

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

namespace cuemu {

constexpr size_t kStack = 128 << 10;
constexpr unsigned kMostThreads = 1024, kWarp = 32;

enum State : uint8_t { kFresh, kReady, kAtBlock, kAtWarp, kAtGrid, kDone };

// A barrier as the race detector sees it. Tags alternate, so that what is released into the next
// round is not acquired from this one.
struct Tags {
  char tag[2];
  unsigned round = 0;
  void* now() { return &tag[round & 1]; }
};

// A collective operation of some lanes of a warp.
struct Collective {
  unsigned mask = 0, arrived = 0, round = 0;
  uint64_t value[kWarp], result[2][kWarp];
  char tag[2];
};

struct Warp {
  Collective slot[4];
};

struct Block {
  unsigned live = 0, waiting = 0;
  int vote = 0, result = 0;
  std::vector<void*> shared;
  Tags tags;
};

struct Fiber {
  void* pointer = nullptr;
  char* stack = nullptr;
  State state = kFresh;
  unsigned line = 0, block = 0, lane = 0;
  uint3 thread_id{}, block_id{};
  Warp* warp = nullptr;
  void* detector = nullptr;
  void* fake_stack = nullptr;
#if !defined(__x86_64__)
  ucontext_t context;
#endif
};

struct Stack {
  char* memory;
  void* detector;
};

static dim3 grid_dim, block_dim;
static Fiber* current;
static Fiber scheduler;
static std::vector<Fiber> fibers;
static std::vector<Block> blocks;
static std::vector<Warp> warps;
static std::vector<Stack> stacks;
static std::vector<unsigned> ready;
static unsigned grid_live, grid_waiting, colour;
static bool cooperative;
static uint64_t random_state;
static Tags grid_tags;
static char start_tag, end_tag;
static void (*kernel)(void**);
static void** kernel_arguments;

// The emulator's own accesses are not the kernel's: they are hidden from the race detector.
struct Quiet {
#if defined(__SANITIZE_THREAD__)
  Quiet() {
    AnnotateIgnoreReadsBegin("", 0);
    AnnotateIgnoreWritesBegin("", 0);
  }
  ~Quiet() {
    AnnotateIgnoreReadsEnd("", 0);
    AnnotateIgnoreWritesEnd("", 0);
  }
#else
  ~Quiet() {}
#endif
};

static inline void release(void* tag) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(tag);
#else
  (void)tag;
#endif
}

static inline void acquire(void* tag) {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(tag);
#else
  (void)tag;
#endif
}

static inline unsigned draw() {  // xorshift64
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return unsigned(random_state >> 32);
}

static inline unsigned index_of(const Fiber& f) { return unsigned(&f - fibers.data()); }
static inline unsigned block_size() { return block_dim.x * block_dim.y * block_dim.z; }

[[noreturn]] static inline void stop(const char* why, unsigned line) {
  std::fprintf(stderr, "cuemu: %s (line %u)\n", why, line);
  std::abort();
}

// ---- switching between fibers

#if defined(__x86_64__)
extern "C" void cuemu_switch(void** save, void* to);
asm(".text\n"
    ".type cuemu_switch,@function\n"
    "cuemu_switch:\n"
    " push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
    " mov %rsp,(%rdi)\n mov %rsi,%rsp\n"
    " pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n");
#endif

static inline void change(Fiber& from, Fiber& to) {
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(to.detector, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(from.state == kDone ? nullptr : &from.fake_stack, to.stack,
                                 kStack);
#endif
#if defined(__x86_64__)
  cuemu_switch(&from.pointer, to.pointer);
#else
  swapcontext(&from.context, &to.context);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

static inline void make_ready(unsigned i) {
  fibers[i].state = kReady;
  ready.push_back(i);
}

static inline void wait(State state, unsigned line) {
  current->state = state;
  current->line = line;
  change(*current, scheduler);
}

static inline void release_block(unsigned b) {
  Block& block = blocks[b];
  block.waiting = 0;
  block.tags.round++;
  block.result = block.vote;
  const unsigned n = block_size();
  for (unsigned i = b * n; i < (b + 1) * n; i++)
    if (fibers[i].state == kAtBlock) make_ready(i);
}

static inline void release_grid() {
  grid_waiting = 0;
  grid_tags.round++;
  for (unsigned i = 0; i < fibers.size(); i++)
    if (fibers[i].state == kAtGrid) make_ready(i);
}

static void fiber_main() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  acquire(&start_tag);
  kernel(kernel_arguments);
  release(&end_tag);
  Fiber& me = *current;
  {
    Quiet quiet;
    me.state = kDone;
    Block& block = blocks[me.block];
    block.live--;
    grid_live--;
    if (block.live && block.waiting == block.live) release_block(me.block);
    if (grid_live && grid_waiting == grid_live) release_grid();
  }
  change(me, scheduler);
  std::abort();
}

static inline void start(Fiber& f) {
  if (stacks.empty()) {
    void* memory = mmap(nullptr, kStack, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) stop("no memory for the stack of a thread", 0);
    stacks.push_back({static_cast<char*>(memory), nullptr});
  }
  const size_t chosen = random_state ? draw() % stacks.size() : stacks.size() - 1;
  std::swap(stacks[chosen], stacks.back());
  f.stack = stacks.back().memory;
  f.detector = stacks.back().detector;
  stacks.pop_back();
#if defined(__SANITIZE_THREAD__)
  if (!f.detector) f.detector = __tsan_create_fiber(0);  // half a millisecond: kept with the stack
#endif
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(f.stack, kStack);
#endif
#if defined(__x86_64__)
  // stacks begin at different lines of the cache
  void** top = reinterpret_cast<void**>(f.stack + kStack - 64 * (++colour % 61)) - 2;
  *top = reinterpret_cast<void*>(fiber_main);
  top -= 6;  // the six registers that cuemu_switch restores
  std::memset(top, 0, 6 * sizeof *top);
  f.pointer = top;
#else
  getcontext(&f.context);
  f.context.uc_stack.ss_sp = f.stack;
  f.context.uc_stack.ss_size = kStack;
  f.context.uc_link = nullptr;
  makecontext(&f.context, fiber_main, 0);
#endif
}

// ---- what a kernel calls

// Let others go first, now and then: what follows is an atomic operation.
static inline void give_way() {
  Quiet quiet;
  if (random_state && (draw() & 7) == 0) {
    make_ready(index_of(*current));
    change(*current, scheduler);
  }
}

enum Vote { kAny, kAll, kCount };

// The barrier of a block; returns the vote of its live threads.
static inline int sync_block(int value, Vote vote, unsigned line) {
  Quiet quiet;
  Block& block = blocks[current->block];
  if (block.waiting == 0) block.vote = vote == kAll;
  if (vote == kAny) block.vote |= value != 0;
  if (vote == kAll) block.vote &= value != 0;
  if (vote == kCount) block.vote += value != 0;
  void* tag = block.tags.now();
  release(tag);
  current->state = kAtBlock;
  current->line = line;
  if (++block.waiting == block.live) release_block(current->block);
  change(*current, scheduler);
  acquire(tag);
  return blocks[current->block].result;
}

// The barrier of the whole grid; all blocks are resident.
static inline void sync_grid(unsigned line) {
  Quiet quiet;
  if (!cooperative) stop("a grid barrier in a launch that is not cooperative", line);
  void* tag = grid_tags.now();
  release(tag);
  current->state = kAtGrid;
  current->line = line;
  if (++grid_waiting == grid_live) release_grid();
  change(*current, scheduler);
  acquire(tag);
}

// The lanes that exist: the last warp of a block may be short.
static inline unsigned lanes_present() {
  const unsigned n = block_size(), first = index_of(*current) % n / kWarp * kWarp;
  return n - first >= kWarp ? ~0u : (1u << (n - first)) - 1;
}

// All lanes of the mask hand in a value and get those of all.
static inline const uint64_t* exchange(unsigned mask, uint64_t value, unsigned line) {
  Quiet quiet;
  if (!(mask >> current->lane & 1)) stop("a lane is not in its own mask", line);
  Collective* c = nullptr;
  for (auto& slot : current->warp->slot)
    if (slot.mask == mask) c = &slot;
  if (!c)
    for (auto& slot : current->warp->slot)
      if (!slot.arrived) c = &slot;
  if (!c) stop("too many masks of one warp at once", line);
  c->mask = mask;
  const unsigned round = c->round & 1, expected = mask & lanes_present();
  c->value[current->lane] = value;
  c->arrived |= 1u << current->lane;
  release(&c->tag[round]);
  if (c->arrived == expected) {
    std::memcpy(c->result[round], c->value, sizeof c->value);
    c->arrived = 0;
    c->round++;
    const unsigned base = index_of(*current) - current->lane;
    for (unsigned lane = 0; lane < kWarp; lane++)
      if (expected >> lane & 1 && lane != current->lane) make_ready(base + lane);
    if (random_state) {
      make_ready(index_of(*current));
      change(*current, scheduler);
    }
  } else {
    wait(kAtWarp, line);
  }
  acquire(&c->tag[round]);
  return c->result[round];
}

// Shared memory: one array for each block and place in the source.
static inline void* shared_array(unsigned id, size_t bytes) {
  Quiet quiet;
  auto& arrays = blocks[current->block].shared;
  if (arrays.size() <= id) arrays.resize(id + 1, nullptr);
  if (!arrays[id]) {
    arrays[id] = std::malloc(bytes);
    std::memset(arrays[id], 0xCD, bytes);
  }
  return arrays[id];
}

// ---- running a kernel

static inline void enter_block(unsigned place, unsigned number) {
  const unsigned n = block_size(), n_warps = (n + kWarp - 1) / kWarp;
  for (unsigned t = 0; t < n; t++) {
    Fiber& f = fibers[place * n + t];
    f.block = place;
    f.lane = t % kWarp;
    f.warp = &warps[place * n_warps + t / kWarp];
    f.thread_id = {t % block_dim.x, t / block_dim.x % block_dim.y, t / block_dim.x / block_dim.y};
    f.block_id = {number % grid_dim.x, number / grid_dim.x % grid_dim.y,
                  number / grid_dim.x / grid_dim.y};
    ready.push_back(place * n + t);
  }
}

template <class T>
static void shuffle(std::vector<T>& list) {
  if (random_state)
    for (size_t i = list.size(); i > 1; i--) std::swap(list[i - 1], list[draw() % i]);
}

static inline unsigned run_ready() {  // returns the number of threads that ended
  unsigned ended = 0;
  std::vector<unsigned> batch;
  while (!ready.empty()) {
    batch.swap(ready);
    ready.clear();
    shuffle(batch);
    for (unsigned i : batch) {
      Fiber& f = fibers[i];
      if (f.state == kFresh) start(f);
      f.state = kReady;
      current = &f;
      change(scheduler, f);
      current = nullptr;
      if (f.state != kDone) continue;
      stacks.push_back({f.stack, f.detector});
      f.stack = nullptr;
      ended++;
    }
  }
  return ended;
}

static inline void report_deadlock() {
  const char* kinds[] = {"?", "?", "block", "warp", "grid", "?"};
  unsigned shown = 0;
  for (auto& f : fibers) {
    if (f.state != kDone && shown++ < 8)
      std::fprintf(stderr, "cuemu: deadlock: block %u thread %u waits at a %s barrier, line %u\n",
                   f.block_id.x, f.thread_id.x, kinds[f.state], f.line);
    if (f.stack) stacks.push_back({f.stack, f.detector});
  }
}

// Run a kernel; returns 0, 1 for a deadlock, 2 for a block that is too large.
static inline int run(dim3 grid, dim3 block, bool is_cooperative, uint64_t seed) {
  Quiet quiet;
  grid_dim = grid;
  block_dim = block;
  cooperative = is_cooperative;
  random_state = seed;
  const unsigned n_blocks = grid.x * grid.y * grid.z, n = block_size();
  if (n > kMostThreads) return 2;
#if defined(__SANITIZE_THREAD__)
  scheduler.detector = __tsan_get_current_fiber();
#endif
  release(&start_tag);
  const unsigned at_once = cooperative ? n_blocks : 1;
  std::vector<unsigned> order(n_blocks);
  for (unsigned i = 0; i < n_blocks; i++) order[i] = i;
  shuffle(order);
  int result = 0;
  for (unsigned first = 0; first < n_blocks && !result; first += at_once) {
    fibers.assign(at_once * n, Fiber());
    warps.assign(at_once * ((n + kWarp - 1) / kWarp), Warp());
    blocks.assign(at_once, Block());
    ready.clear();
    grid_live = at_once * n;
    grid_waiting = 0;
    for (unsigned place = 0; place < at_once; place++) {
      blocks[place].live = n;
      enter_block(place, cooperative ? place : order[first]);
    }
    if (run_ready() != at_once * n) {
      report_deadlock();
      result = 1;
    }
    for (auto& b : blocks)
      for (void* array : b.shared) std::free(array);
  }
  acquire(&end_tag);
  return result;
}

template <class... A, size_t... I>
static void call(void (*f)(A...), void** a, std::index_sequence<I...>) {
  f(*static_cast<std::remove_const_t<A>*>(a[I])...);
}

template <class... A>
static void unpack(void (*f)(A...), void** a) {
  call(f, a, std::index_sequence_for<A...>{});
}

}  // namespace cuemu

#define CUEMU_EXPORT(name)                                                                     \
  extern "C" int cuemu_launch_##name(const unsigned* g, const unsigned* b, void** arguments,   \
                                     int is_cooperative, uint64_t seed) {                      \
    cuemu::kernel = [](void** a) { cuemu::unpack(name, a); };                                  \
    cuemu::kernel_arguments = arguments;                                                       \
    return cuemu::run(dim3(g[0], g[1], g[2]), dim3(b[0], b[1], b[2]), is_cooperative, seed);   \
  }
