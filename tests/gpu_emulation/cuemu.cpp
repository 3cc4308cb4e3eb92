// What runs kernels: barriers, warp operations, shared memory and launches, on the fibers of
// fibers.h. It is compiled without a sanitizer's instrumentation and tells the sanitizer itself
// what it must know (CUEMU_ADDRESS, CUEMU_THREAD).
#include "fibers.h"

namespace cuemu {

// ---- what a kernel calls

// Let others go first, now and then: what follows is an atomic operation.
void give_way() {
  Quiet quiet;
  if (random_state && (draw() & 7) == 0) {
    make_ready(index_of(here()));
    change(here(), scheduler);
  }
}

// The barrier of a block; returns the vote of its live threads.
int sync_block(int value, Vote vote, unsigned line) {
  Quiet quiet;
  Block& block = blocks[here().block];
  if (block.waiting == 0) block.vote = vote == kAll;
  if (vote == kAny) block.vote |= value != 0;
  if (vote == kAll) block.vote &= value != 0;
  if (vote == kCount) block.vote += value != 0;
  void* tag = block.tags.now();
  release(tag);
  here().state = kAtBlock;
  here().line = line;
  if (++block.waiting == block.live) release_block(here().block);
  change(here(), scheduler);
  acquire(tag);
  return blocks[here().block].result;
}

// The barrier of the whole grid in two halves; all blocks are resident. What a thread does between
// the halves is not ordered before what others do behind the barrier.
void arrive_grid(unsigned line) {
  if (!cooperative) stop("a grid barrier in a launch that is not cooperative", line);
  sync_block(0, kAny, line);
  Quiet quiet;
  release(grid_tags.now());
}

void wait_grid(unsigned line) {
  Quiet quiet;
  void* tag = grid_tags.now();
  here().state = kAtGrid;
  here().line = line;
  if (++grid_waiting == grid_live) release_grid();
  change(here(), scheduler);
  acquire(tag);
}

// The lanes that exist: the last warp of a block may be short.
unsigned lanes_present() {
  const unsigned n = block_size(), first = index_of(here()) % n / kWarp * kWarp;
  return n - first >= kWarp ? ~0u : (1u << (n - first)) - 1;
}

// All lanes of the mask hand in a value and get those of all.
const uint64_t* exchange(unsigned mask, uint64_t value, unsigned line) {
  Quiet quiet;
  if (!(mask >> current->lane & 1)) stop("a lane is not in its own mask", line);
  Collective* c = nullptr;
  for (auto& slot : here().warp->slot)
    if (slot.mask == mask) c = &slot;
  if (!c)
    for (auto& slot : here().warp->slot)
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
    const unsigned base = index_of(here()) - current->lane;
    for (unsigned lane = 0; lane < kWarp; lane++)
      if (expected >> lane & 1 && lane != current->lane) make_ready(base + lane);
    if (random_state) {
      make_ready(index_of(here()));
      change(here(), scheduler);
    }
  } else {
    wait(kAtWarp, line);
  }
  acquire(&c->tag[round]);
  return c->result[round];
}

// Shared memory: one array for each block and place in the source.
void* shared_array(unsigned id, size_t bytes) {
  Quiet quiet;
  auto& arrays = blocks[here().block].shared;
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
int run(dim3 grid, dim3 block, bool is_cooperative, uint64_t seed) {
  Quiet quiet;
  grid_dim = grid;
  block_dim = block;
  cooperative = is_cooperative;
  random_state = seed;
  const unsigned n_blocks = grid.x * grid.y * grid.z, n = block_size();
  if (n > kMostThreads) return 2;
#if defined(CUEMU_THREAD)
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

int launch(void (*called)(void**), void** arguments, const unsigned* grid, const unsigned* block,
           bool is_cooperative, uint64_t seed, size_t shared) {
  dynamic_bytes = shared;
  kernel = called;
  kernel_arguments = arguments;
  return run(dim3(grid[0], grid[1], grid[2]), dim3(block[0], block[1], block[2]), is_cooperative,
             seed);
}

}  // namespace cuemu
