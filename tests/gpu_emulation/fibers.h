// Fibers for cuemu.cpp: one for each CUDA thread, how they switch, and what sanitizers must be told.
#pragma once
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "cuemu.h"
#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(CUEMU_ADDRESS)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(CUEMU_THREAD)
#include <sanitizer/tsan_interface.h>
extern "C" {
void AnnotateIgnoreReadsBegin(const char*, int);
void AnnotateIgnoreReadsEnd(const char*, int);
void AnnotateIgnoreWritesBegin(const char*, int);
void AnnotateIgnoreWritesEnd(const char*, int);
}
#endif

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

struct Fiber : Thread {
  void* pointer = nullptr;
  char* stack = nullptr;
  State state = kFresh;
  unsigned line = 0, block = 0;
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

Thread* current;
dim3 grid_dim, block_dim;
size_t dynamic_bytes;
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
#if defined(CUEMU_THREAD)
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
#if defined(CUEMU_THREAD)
  __tsan_release(tag);
#else
  (void)tag;
#endif
}

static inline void acquire(void* tag) {
#if defined(CUEMU_THREAD)
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

static inline Fiber& here() { return *static_cast<Fiber*>(current); }
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
#if defined(CUEMU_THREAD)
  __tsan_switch_to_fiber(to.detector, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(CUEMU_ADDRESS)
  __sanitizer_start_switch_fiber(from.state == kDone ? nullptr : &from.fake_stack, to.stack,
                                 kStack);
#endif
#if defined(__x86_64__)
  cuemu_switch(&from.pointer, to.pointer);
#else
  swapcontext(&from.context, &to.context);
#endif
#if defined(CUEMU_ADDRESS)
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

static inline void make_ready(unsigned i) {
  fibers[i].state = kReady;
  ready.push_back(i);
}

static inline void wait(State state, unsigned line) {
  here().state = state;
  here().line = line;
  change(here(), scheduler);
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
#if defined(CUEMU_ADDRESS)
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  acquire(&start_tag);
  kernel(kernel_arguments);
  release(&end_tag);
  Fiber& me = here();
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
#if defined(CUEMU_THREAD)
  if (!f.detector) f.detector = __tsan_create_fiber(0);  // half a millisecond: kept with the stack
#endif
#if defined(CUEMU_ADDRESS)
  __asan_unpoison_memory_region(f.stack, kStack);
#endif
#if defined(__x86_64__)
  // stacks begin at different lines of the cache
  void** top = reinterpret_cast<void**>(f.stack + kStack - 64 * (1 + ++colour % 61)) - 2;
  top[0] = reinterpret_cast<void*>(fiber_main);
  top[1] = nullptr;  // where it would return: here a sanitizer that reads the stack has to stop
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

}  // namespace cuemu
