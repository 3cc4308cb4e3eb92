// Update: every member of every population does one step.
//
// A tile is NS_TILE members of one population and belongs to one block at a time; blocks take
// tiles in turn. Each member reads and clears its own channels of the slot of this step, so
// nothing is shared but the lists below, on which places are reserved by atomic additions, one a
// block and tile.
//
//   items[]    what is to be delivered: pieces of rows, n_items[t & 1] of them
//   records[]  source, step, count of the spikes that are recorded

__device__ __forceinline__ void ns_update(const Net& net, long long t) {
  // of this tile: items, records, and where those of the block begin. Thread 0 writes the first
  // two before a barrier and the last two after the next one, when all have read those before.
  NS_SHARED(unsigned int, n_items, 1);
  NS_SHARED(unsigned int, n_records, 1);
  NS_SHARED(unsigned long long, first_item, 1);
  NS_SHARED(unsigned long long, first_record, 1);
  if (blockIdx.x == 0 && threadIdx.x == 0)
    net.n_items[(t + 1) & 1] = 0;  // was last read when the step before was delivered
#if NS_PLASTIC
  if (blockIdx.x == 0 && threadIdx.x == 0) ns_begin_step(net, t);
#endif
  for (int tile = blockIdx.x; tile < (int)net.n_tiles; tile += gridDim.x) {
    if (threadIdx.x == 0) *n_items = *n_records = 0;
#if NS_PLANT_RACE != 1  // the tests leave this barrier out, to see that the race is found
    __syncthreads();
#endif
    const Population& p = net.populations[net.tile_population[tile]];
    const long long i = (tile - p.first_tile) * NS_TILE + threadIdx.x, source = p.source + i;
    RingCell cell = {&p, i, ns_slot(net, t) + p.channel + i};
    const int count = i < p.n ? ns_step(net, p, cell, i, t) : 0;
#if NS_PLASTIC
    if (i < p.n) ns_plastic_update(net, net.tile_population[tile], p, i, t, count);
#endif
    unsigned int my_item = 0, my_record = 0;
    if (count) {
      const Fan fan = ns_fan(net, p, i);
      my_item = atomicAdd(n_items, (unsigned int)fan.items);
      if (p.recorded) my_record = atomicAdd(n_records, 1u);
      atomicAdd(net.n_spikes, (unsigned long long)count);
      atomicAdd(net.n_events, (unsigned long long)(fan.synapses * count));
    }
    __syncthreads();
    if (threadIdx.x == 0 && *n_items)
      *first_item = atomicAdd(net.n_items + (t & 1), (unsigned long long)*n_items);
    if (threadIdx.x == 0 && *n_records)
      *first_record = atomicAdd(net.n_records, (unsigned long long)*n_records);
    __syncthreads();
    if (count) {
      ns_emit(net, p, i, count, *first_item + my_item);
      if (p.recorded) {
        uint32_t* record = net.records + 3 * (*first_record + my_record);
        record[0] = (uint32_t)source;
        record[1] = (uint32_t)t;
        record[2] = (uint32_t)count;
      }
    }
  }
}
