"""Compiled loops of Lempel-Ziv complexity, one thread each."""

from __future__ import annotations

import numba
import numpy as np

NONE = -1


@numba.njit(cache=True)
def find(head, following, symbol_of, node, symbol):
    """Return the edge of a node with a symbol, or NONE. Edges of a node are a linked list."""
    edge = head[node]
    while edge != NONE and symbol_of[edge] != symbol:
        edge = following[edge]
    return edge


@numba.njit(cache=True)
def suffix_automaton(text):
    """Return head, following, symbol_of, target of the edges, and first_end of every state.

    text : (n,) int64. The automaton has at most 2n states and 3n edges (Blumer et al. 1985, Theor.
    Comput. Sci. 40:31). first_end[state] : where the first occurrence of the state's words ends.
    Edges are lists, so that memory does not grow with the number of symbols.
    """
    n = text.size
    states, edges = 2 * n + 2, 3 * n + 6
    head = np.full(states, NONE, np.int32)
    link = np.full(states, NONE, np.int32)
    length = np.zeros(states, np.int32)
    first_end = np.full(states, NONE, np.int32)
    following = np.full(edges, NONE, np.int32)
    target = np.zeros(edges, np.int32)
    symbol_of = np.zeros(edges, np.int64)
    n_states, n_edges, last = 1, 0, 0
    for j in range(n):
        symbol = text[j]
        new = n_states
        n_states += 1
        length[new], first_end[new] = length[last] + 1, j
        state = last
        edge = NONE
        while state != NONE:
            edge = find(head, following, symbol_of, state, symbol)
            if edge != NONE:
                break
            symbol_of[n_edges], target[n_edges] = symbol, new
            following[n_edges], head[state] = head[state], n_edges
            n_edges += 1
            state = link[state]
        if state == NONE:
            link[new] = 0
        else:
            old = target[edge]
            if length[old] == length[state] + 1:
                link[new] = old
            else:
                clone = n_states
                n_states += 1
                length[clone], first_end[clone] = length[state] + 1, first_end[old]
                link[clone] = link[old]
                copied = head[old]
                while copied != NONE:
                    symbol_of[n_edges], target[n_edges] = symbol_of[copied], target[copied]
                    following[n_edges], head[clone] = head[clone], n_edges
                    n_edges += 1
                    copied = following[copied]
                while state != NONE:
                    edge = find(head, following, symbol_of, state, symbol)
                    if edge == NONE or target[edge] != old:
                        break
                    target[edge] = clone
                    state = link[state]
                link[old], link[new] = clone, clone
        last = new
    return head, following, symbol_of, target, first_end


@numba.njit(cache=True)
def count_lz76(text):
    """Return the number of words of the exhaustive history of text, (n,) int64.

    A word is extended while it occurs in the text before its last symbol: while its first
    occurrence ends earlier than it does itself.
    """
    head, following, symbol_of, target, first_end = suffix_automaton(text)
    words, state, open_word = 0, 0, False
    for j in range(text.size):
        state = target[find(head, following, symbol_of, state, text[j])]
        open_word = first_end[state] < j
        if not open_word:
            words += 1
            state = 0
    return words + open_word


@numba.njit(cache=True)
def count_lz78(text):
    """Return the number of phrases of the incremental parsing of text, (n,) int64."""
    n = text.size
    head = np.full(n + 1, NONE, np.int32)
    following = np.full(n + 1, NONE, np.int32)
    symbol_of = np.zeros(n + 1, np.int64)
    phrases, node = 0, 0  # edge k leads to node k + 1
    for j in range(n):
        edge = find(head, following, symbol_of, node, text[j])
        if edge != NONE:
            node = edge + 1
            continue
        symbol_of[phrases] = text[j]
        following[phrases], head[node] = head[node], phrases
        phrases += 1
        node = 0
    return phrases + (node != 0)


@numba.njit(cache=True)
def count_rows(texts, incremental):
    """Return the LZ78 (incremental) or LZ76 count of each row of texts, (m, n) int64."""
    counts = np.empty(texts.shape[0], np.int64)
    for row in range(texts.shape[0]):
        if incremental:
            counts[row] = count_lz78(texts[row])
        else:
            counts[row] = count_lz76(texts[row])
    return counts
