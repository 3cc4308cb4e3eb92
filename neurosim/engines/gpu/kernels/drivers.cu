// The two ways to run steps start + 1 ... start + n_steps: one cooperative launch of `run`, or
// `drive` once and then `update` and `after` for each step. The order of a step: update |
// deliver, sample, and the drive of the next step. What is on one side of a barrier (|) touches
// different places, or adds atomically: the drive and the delivery add to later slots than the one
// that the update of this step cleared.
//
// The record of the network is passed by value: a kernel reads its own arguments at no cost.

extern "C" __global__ void __launch_bounds__(NS_TILE) drive(const Net net) {
  ns_drive(net, net.start + 1);
}

extern "C" __global__ void __launch_bounds__(NS_TILE) update(const Net net, int k) {
  ns_update(net, net.start + k);
}

extern "C" __global__ void __launch_bounds__(NS_TILE) after(const Net net, int k, int last) {
  ns_deliver(net, net.start + k);
  ns_sample(net, k);
  if (k < last) ns_drive(net, net.start + k + 1);
}

extern "C" __global__ void __launch_bounds__(NS_TILE) run(const Net net, int n_steps) {
  ns_drive(net, net.start + 1);
  NS_GRID_SYNC();
  for (int k = 1; k <= n_steps; k++) {
    ns_update(net, net.start + k);
    NS_GRID_SYNC();
    ns_deliver(net, net.start + k);
    ns_sample(net, k);
    if (k < n_steps) {
      ns_drive(net, net.start + k + 1);
      NS_GRID_SYNC();
    }
  }
}
