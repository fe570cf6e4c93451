"""The allocator's rules, each on a sequence of requests whose blocks are worked out by hand."""

import random

import pytest

from segbench.models.trace.caching_allocator import MIB, CachingAllocator


@pytest.mark.parametrize(
    ("nbytes", "block", "reserved"),
    [
        (1, 512, 2 * MIB),
        (513, 1024, 2 * MIB),
        (MIB, MIB, 2 * MIB),
        (MIB + 1, MIB + 512, 20 * MIB),
        (10 * MIB - 512, 10 * MIB - 512, 20 * MIB),
        (10 * MIB, 10 * MIB, 10 * MIB),
        (11 * MIB, 12 * MIB, 12 * MIB),  # 1 MiB over: too little to be split off
        (11 * MIB - 512, 11 * MIB - 512, 12 * MIB),  # 1 MiB and 512 bytes over: split off
        (12 * MIB + 512, 14 * MIB - (2 * MIB - 512), 14 * MIB),
    ],
)
def test_a_first_request_gets_the_block_and_the_segment_of_its_size(nbytes, block, reserved):
    allocator = CachingAllocator()
    assert allocator.allocate(1, nbytes) == block
    assert (allocator.allocated, allocator.reserved) == (block, reserved)


def test_requests_share_segments_and_a_hole_is_filled_again():
    """Three of 6 MiB fit into 20 MiB; a fourth needs a segment; a freed one's place is taken by the next."""
    allocator = CachingAllocator()
    for number in range(3):
        allocator.allocate(number, 6 * MIB)
    assert allocator.reserved == 20 * MIB
    allocator.release(1)
    allocator.allocate(3, 6 * MIB)
    assert (allocator.allocated, allocator.reserved) == (18 * MIB, 20 * MIB)
    allocator.allocate(4, 6 * MIB)
    assert allocator.reserved == 40 * MIB


def test_the_smallest_hole_that_suffices_is_taken():
    """Holes of 8 and 6 MiB, a request for 5.5: the block is the 6 MiB hole whole, its rest too small to split."""
    allocator = CachingAllocator()
    for number, size in enumerate((8, 2, 6, 2)):
        allocator.allocate(number, size * MIB)
    allocator.release(0)
    allocator.release(2)
    assert allocator.allocate(4, 11 * MIB // 2) == 6 * MIB
    assert allocator.allocate(5, 8 * MIB) == 8 * MIB
    assert allocator.reserved == 20 * MIB


def test_free_neighbours_join():
    """Released in any order, three blocks become one hole that a request for all of them fits into."""
    for order in ((0, 1, 2), (2, 1, 0), (0, 2, 1), (1, 0, 2)):
        allocator = CachingAllocator()
        for number in range(3):
            allocator.allocate(number, 6 * MIB)
        for number in order:
            allocator.release(number)
        assert allocator.allocated == 0
        allocator.allocate(9, 18 * MIB)
        assert allocator.reserved == 20 * MIB


def test_small_requests_never_take_large_holes():
    allocator = CachingAllocator()
    allocator.allocate(0, 2 * MIB)
    allocator.allocate(1, 512)
    assert allocator.reserved == 22 * MIB


def test_nothing_is_lost_over_a_long_run():
    """After thousands of requests the blocks in use add up, and an empty allocator is whole again."""
    chance, allocator, live = random.Random(0), CachingAllocator(), {}
    for number in range(5000):
        if live and chance.random() < 0.5:
            gone = chance.choice(list(live))
            del live[gone]
            allocator.release(gone)
        else:
            live[number] = allocator.allocate(number, chance.choice((300, 70_000, 3 * MIB, 25 * MIB)))
        assert allocator.allocated == sum(live.values())
        assert allocator.sizes() == live
    before = allocator.reserved
    for number in list(live):
        allocator.release(number)
    assert allocator.allocated == 0
    allocator.allocate(-1, 20 * MIB)
    assert allocator.reserved == before
