// What a block of the owner variant keeps for a whole launch, and a neuron as its step sees it.
//
// Shared memory of a block (offsets are in `Owner`):
//   ring      input to come, by place. Rows of channels with delays of like length form a class k of
//             size[k] places that end at end[k], one line of width[k] for each step to come. The
//             lines turn: the place of what arrives in the next step is by[k] further on than in
//             the table of places, and by[k] grows by a line each step.
//   states    [state][thread], where registers are too few
//   places, scales, scalars, table   what all threads read in every step

struct Turn {
  int by[NS_CLASSES], end[NS_CLASSES], size[NS_CLASSES], width[NS_CLASSES];
};

__device__ __forceinline__ Turn ns_first_turn(const Owner& own) {
  Turn turn;
#pragma unroll
  for (int k = 0; k < NS_CLASSES; k++) {
    turn.by[k] = 0;
    turn.end[k] = own.end[k];
    turn.size[k] = own.size[k];
    turn.width[k] = own.width[k];
  }
  return turn;
}

__device__ __forceinline__ void ns_advance(Turn& turn) {
#pragma unroll
  for (int k = 0; k < NS_CLASSES; k++) {
    turn.by[k] += turn.width[k];
    if (turn.by[k] == turn.size[k]) turn.by[k] = 0;
  }
}

// Where a place lies now.
__device__ __forceinline__ int ns_turned(const Turn& turn, int place) {
  int by = turn.by[0], end = turn.end[0], size = turn.size[0];
#pragma unroll
  for (int k = 1; k < NS_CLASSES; k++)
    if (place >= turn.end[k - 1]) {
      by = turn.by[k];
      end = turn.end[k];
      size = turn.size[k];
    }
  const int turned = place + by;
  return turned < end ? turned : turned - size;
}

struct OwnerCell {
  Turn turn;
  ns_amount* ring;
  const int* places;     // of the rows of its population
  const double* scales;  // likewise
  int member;            // of the neurons of its population that the block owns
  int until;
  REAL substep;
#if NS_SHARED_STATES
  REAL* states;
#else
  REAL states[NS_STATES];
#endif
};

__device__ __forceinline__ REAL& ns_state(OwnerCell& cell, int k) {
#if NS_SHARED_STATES
  return cell.states[k * blockDim.x];
#else
  return cell.states[k];
#endif
}
__device__ __forceinline__ int& ns_until(OwnerCell& cell) { return cell.until; }
__device__ __forceinline__ REAL& ns_substep(OwnerCell& cell) { return cell.substep; }

__device__ __forceinline__ REAL ns_input(OwnerCell& cell, int k) {
  const int place = ns_turned(cell.turn, cell.places[k] + cell.member);
  return ns_take(cell.ring + place, cell.scales[k]);
}
