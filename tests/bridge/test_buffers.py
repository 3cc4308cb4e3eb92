"""Memory that is used again: never while anything refers to it."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor

import torch

from neurosim.bridge.kernels.buffers import Buffers

SHAPE = (300, 1000)  # 1.2 MB in float32


def test_memory_is_used_again_only_when_nothing_refers_to_it():
    buffers = Buffers()
    first = buffers.empty(SHAPE, torch.float32)
    place = first.data_ptr()
    view = first[10:20].t()
    del first
    gc.collect()
    second = buffers.empty(SHAPE, torch.float32)
    assert second.data_ptr() != place  # the view still lies there
    del view
    third = buffers.empty(SHAPE, torch.float32)
    assert third.data_ptr() == place


def test_autograd_keeps_what_it_saved():
    buffers = Buffers()
    x = torch.ones(SHAPE, requires_grad=True)
    y = buffers.empty(SHAPE, torch.float32)
    y.fill_(3.0)
    product = (x * y).sum()
    place = y.data_ptr()
    del y
    other = buffers.empty(SHAPE, torch.float32)
    assert other.data_ptr() != place
    other.fill_(0.0)
    product.backward()
    assert (x.grad == 3.0).all()


def test_other_sizes_and_types():
    buffers = Buffers()
    small = buffers.empty((3,), torch.float32)
    assert small.shape == (3,) and small.is_contiguous()
    double = buffers.empty(SHAPE, torch.float64)
    assert double.dtype == torch.float64 and double.shape == SHAPE and double.is_contiguous()
    assert buffers.empty(SHAPE, torch.bfloat16).dtype == torch.bfloat16
    assert buffers.empty((0, 5), torch.float32).shape == (0, 5)


def test_idle_memory_has_a_limit_and_can_be_given_back():
    buffers = Buffers(idle=3_000_000)
    tensors = [buffers.empty(SHAPE, torch.float32) for _ in range(8)]
    assert len(buffers._blocks) == 8
    del tensors
    buffers.empty((400, 1000), torch.float32)  # of another size
    assert sum(b.nbytes for b in buffers._blocks) <= 3_000_000 + 1_700_000
    buffers.clear()
    assert buffers._blocks == []


def test_threads_never_share_a_block():
    buffers = Buffers()

    def use(value: int) -> bool:
        good = True
        for _ in range(30):
            tensor = buffers.empty(SHAPE, torch.float32).fill_(value)
            good &= bool((tensor == value).all())
        return good

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(use, range(4)))
