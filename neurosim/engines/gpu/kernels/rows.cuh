// Rows of synapses: what a source sends goes through the rows of all groups of its population,
// and through the projections whose rows are drawn when they are delivered (NS_DRAWN).

struct Fan {
  long long items, synapses;  // synapses that are stored or whose number is known
};

__device__ __forceinline__ long long ns_pieces(long long length) {
  return (length + NS_CHUNK - 1) / NS_CHUNK;
}

__device__ __forceinline__ Fan ns_fan(const Net& net, const Population& p, long long i) {
  Fan fan = {0, 0};
  for (int g = 0; g < (int)p.n_groups; g++) {
    const long long row = net.groups[p.first_group + g].first_row + i;
    const long long length = net.row[row + 1] - net.row[row];
    fan.items += ns_pieces(length);
    fan.synapses += length;
  }
#if NS_DRAWN
  for (int k = 0; k < (int)p.n_drawn; k++) {
    const Projection& q = net.drawn[p.first_drawn + k];
    const long long row = q.row_of ? q.row_of[i] : i;
    if (row < 0) continue;
    const long long length = q.mode == NS_SKIP ? 0 : ns_degree(q, row);
    fan.items += q.mode == NS_SKIP ? 1 : ns_pieces(length);
    fan.synapses += length;
  }
#endif
  return fan;
}

// List the pieces of all rows of a source, from a place on.
__device__ __forceinline__ void ns_emit(const Net& net, const Population& p, long long i,
                                        int count, unsigned long long place) {
  Item item = {0, 0, count, 0.0, -1, 0};
  for (int g = 0; g < (int)p.n_groups; g++) {
    const Group& group = net.groups[p.first_group + g];
    const long long row = group.first_row + i, end = net.row[row + 1];
    item.amount = group.amount;
    for (item.begin = net.row[row]; item.begin < end; item.begin += NS_CHUNK) {
      item.length = (int)ns_min(end - item.begin, (long long)NS_CHUNK);
      net.items[place++] = item;
    }
  }
#if NS_DRAWN
  for (int k = 0; k < (int)p.n_drawn; k++) {
    const Projection& q = net.drawn[p.first_drawn + k];
    const long long row = q.row_of ? q.row_of[i] : i;
    if (row < 0) continue;
    item.amount = q.amount;
    item.drawn = (int)(p.first_drawn + k);
    item.row = (int)row;
    const long long end = q.mode == NS_SKIP ? 1 : ns_degree(q, row);
    for (item.begin = 0; item.begin < end; item.begin += NS_CHUNK) {
      item.length = (int)ns_min(end - item.begin, (long long)NS_CHUNK);
      net.items[place++] = item;
    }
  }
#endif
}
