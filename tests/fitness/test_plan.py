from __future__ import annotations

from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from detkds_gp.fitness.images import plan


@settings(max_examples=50, deadline=None)
@given(images=st.integers(1, 12), batch_size=st.integers(1, 9), seed=st.integers(0, 9))
def test_every_image_comes_once_a_pass(images: int, batch_size: int, seed: int) -> None:
    passes = 5
    batches = list(islice(plan(images, batch_size, seed), -(-passes * images // batch_size)))
    assert {len(indices) for indices, _ in batches} == {batch_size}
    assert all(len(indices) == len(flips) for indices, flips in batches)
    drawn = [index for indices, _ in batches for index in indices]
    for start in range(0, passes * images, images):
        assert sorted(drawn[start : start + images]) == list(range(images))


def test_a_shorter_plan_begins_a_longer_one_and_the_seed_decides() -> None:
    def first(count: int, seed: int) -> list[tuple[list[int], list[bool]]]:
        return list(islice(plan(24, 8, seed), count))

    assert first(3, 0) == first(30, 0)[:3]
    assert first(3, 0) != first(3, 1)
    orders = [index for indices, _ in first(6, 0) for index in indices]
    assert orders[:24] != orders[24:]


def test_half_of_the_images_are_flipped() -> None:
    flips = [flip for _, batch in islice(plan(10, 10, 4), 200) for flip in batch]
    assert 0.45 < sum(flips) / len(flips) < 0.55
