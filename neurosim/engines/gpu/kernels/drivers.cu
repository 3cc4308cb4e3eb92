// The ways to run some steps: one cooperative launch of `run`, or `drive` once and then `update` and
// `after` for each step. The order of a step: update |
// deliver, sample, and the drive of the next step. What is on one side of a barrier (|) touches
// different places, or adds atomically: the drive and the delivery add to later slots than the one
// that the update of this step cleared. With plastic synapses there is another barrier where some
// history is nearly full, and a launch of `sweep` a step.
//
// What steps neurons gets registers for two blocks on a multiprocessor: models have many states.
//
// The record of the network is passed by value: a kernel reads its own arguments at no cost. What
// step it is stands in memory, so that a captured graph of the launches of many steps can be
// replayed: `tick` moves the clock on at its end.

extern "C" __global__ void __launch_bounds__(NS_TILE) drive(const Net net) {
  ns_drive(net, net.clock[0] + 1);
}

extern "C" __global__ void __launch_bounds__(NS_TILE, 2) update(const Net net, int k) {
  ns_update(net, net.clock[0] + k);
}

extern "C" __global__ void __launch_bounds__(NS_TILE, NS_RESIDENT) after(const Net net, int k, int last) {
  const long long t = net.clock[0] + k;
  ns_deliver(net, t);
#if NS_PLASTIC
  ns_plastic_deliver(net, t);
#endif
  ns_sample(net, t);
  if (k < last) ns_drive(net, t + 1);
}

extern "C" __global__ void __launch_bounds__(NS_TILE) tick(const Net net, int n_steps) {
  if (blockIdx.x == 0 && threadIdx.x == 0) net.clock[0] += n_steps;
}

extern "C" __global__ void __launch_bounds__(NS_TILE, 2) run(const Net net, int n_steps) {
  const long long start = net.clock[0];
  ns_drive(net, start + 1);
  NS_GRID_SYNC();
  for (int k = 1; k <= n_steps; k++) {
    ns_update(net, start + k);
    NS_GRID_SYNC();
    ns_deliver(net, start + k);
    ns_sample(net, start + k);
#if NS_PLASTIC
    ns_plastic_deliver(net, start + k);
#endif
    if (k < n_steps) {
      ns_drive(net, start + k + 1);
      NS_GRID_SYNC();
    }
#if NS_PLASTIC
    if (ns_needs_sweep(net, start + k)) {  // the same for all threads: see plastic.cu
      if (k == n_steps) NS_GRID_SYNC();
      ns_sweep(net, start + k);
      NS_GRID_SYNC();
    }
#endif
  }
}
