"""What an order of presentations has to keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mos_app.study.order import Item, Placed, block_sizes


def violations(
    placed: Sequence[Placed],
    items: Sequence[Item],
    *,
    blocks: int,
    minimum_distance: int,
    repeat_distance: int = 0,
) -> list[str]:
    """What an order does wrong, in words; empty when all guarantees hold."""
    wrong = []
    if Counter(place.item for place in placed) != Counter(items):
        wrong.append("not every item exactly once")
    if [place.position for place in placed] != list(range(1, len(items) + 1)):
        wrong.append("positions are not 1..n")
    if [place.block for place in placed] != sorted(place.block for place in placed):
        wrong.append("blocks are mixed")
    sizes = Counter(place.block for place in placed)
    if tuple(sizes[block] for block in range(1, blocks + 1)) != block_sizes(len(items), blocks):
        wrong.append(f"block sizes {dict(sizes)}")
    per_block = Counter((place.item.method, place.block) for place in placed)
    for method in {item.method for item in items}:
        counts = [per_block[method, block] for block in range(1, blocks + 1)]
        if max(counts) - min(counts) > 1:
            wrong.append(f"{method} appears {counts} times in the blocks")
    last: dict[tuple[str, str], int] = {}
    first: dict[tuple[str, str, str], int] = {}
    for place in placed:
        image = (place.item.dataset, place.item.image)
        if image in last and place.position - last[image] < minimum_distance:
            wrong.append(f"{image} again after {place.position - last[image]}")
        last[image] = place.position
        stimulus = (*image, place.item.method)
        if stimulus in first and place.position - first[stimulus] < repeat_distance:
            wrong.append(f"{stimulus} repeated after {place.position - first[stimulus]}")
        if (place.item.repeat == 1) != (stimulus in first):
            wrong.append(f"{stimulus}: showings out of order")
        first.setdefault(stimulus, place.position)
    return wrong
