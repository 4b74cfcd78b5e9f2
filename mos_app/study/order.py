"""The order in which one rater sees the whole design, a pure function of the seed and the rater's number.

A plain shuffle of the paper's 1128 items puts 8.6 pairs of versions of one image side by side. This one
guarantees, for every rater:

* every item exactly once;
* blocks of equal length (within one), and within each block every method equally often (within one);
* at least ``minimum_distance`` places between two versions of one image, also across blocks;
* at least ``repeat_distance`` places between the two showings of a repeated stimulus.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from mos_app.study.definition import StudyConfig
from repro.core.errors import UserError
from repro.core.streams import stream

ORDER_ALGORITHM = "deal-and-arrange-1"
"""Stored with every study; change it with any change that can move an item."""

_TRIES = 500
"""With items dealt by chance alone, and as many with each image's versions spread over the blocks: few images
and short blocks seldom come out right by chance, and studies that do keep the orders that they had."""


@dataclass(frozen=True, order=True)
class Item:
    """One rating to be given: this version of this image, for the first (0) or second (1) time.

    In a paired study ``method`` names a pair (:func:`mos_app.study.parts.pair_name`).
    """

    dataset: str
    image: str
    method: str
    repeat: int = 0


@dataclass(frozen=True)
class Placed:
    """An item in its place: block from 1, position from 1 within the rater's whole order."""

    item: Item
    block: int
    position: int


def design_items(config: StudyConfig, images: dict[str, list[str]]) -> list[Item]:
    """Every item of the study's design, in canonical order.

    Args:
        config: the study.
        images: names of the rated images of each data set.
    """
    items = [
        Item(dataset.name, image, method)
        for dataset in config.datasets
        for image in sorted(images[dataset.name])
        for method in config.versions_of(dataset)
    ]
    if config.pilot is not None:
        items += [
            Item(config.pilot.dataset, image, config.pilot.method, repeat=1)
            for image in sorted(images[config.pilot.dataset])
        ]
    return items


def block_sizes(items: int, blocks: int) -> tuple[int, ...]:
    """Lengths of the blocks; where they differ (by one), the first ones are longer."""
    return tuple(items // blocks + (block < items % blocks) for block in range(blocks))


def make_order(
    items: Sequence[Item],
    *,
    seed: int,
    rater: int,
    blocks: int,
    minimum_distance: int,
    repeat_distance: int = 0,
) -> list[Placed]:
    """One rater's order, with the guarantees of this module.

    Args:
        items: the design in canonical order (:func:`design_items`).
        seed: the study's seed.
        rater: the rater's number, from 1.
        blocks: how many blocks.
        minimum_distance: places between two versions of one image.
        repeat_distance: places between the two showings of a repeated item.

    Raises:
        UserError: no such order was found (too few images for the distance).
    """
    for attempt in range(2 * _TRIES):
        rng = stream(seed, "order", ORDER_ALGORITHM, rater, attempt)
        dealt = _deal(items, rng, blocks)
        if attempt >= _TRIES:
            _spread(dealt, rng)
        placed = _try_order(dealt, rng, minimum_distance, repeat_distance)
        if placed is not None:
            return placed
    raise UserError(
        f"no order of {len(items)} items with distance {minimum_distance} was found in {2 * _TRIES} tries",
        "more images than the distance between versions of one image",
        "lower order.minimum_distance (or pilot.minimum_distance) in the study file",
    )


def subset_images(config: StudyConfig, dataset: str, images: Sequence[str], form: int) -> list[str]:
    """The images of a data set that raters of a form see.

    Like dealing cards: each form takes the next ones of a shuffle, and a new shuffle follows when it is used
    up. Over forms 0..n every image is dealt equally often within one.

    Args:
        config: the study.
        dataset: a data set's name.
        images: all its images.
        form: from 0.
    """
    wanted = config.subset.images.get(dataset) if config.subset else None
    if wanted is None:
        return sorted(images)
    hand: list[str] = []
    left: list[str] = []
    shuffle = 0
    for _ in range(form + 1):
        hand = []
        if len(left) < wanted:
            hand, left = left, []
            rng = stream(config.seed, "subset", dataset, shuffle)
            deck = [sorted(images)[k] for k in rng.permutation(len(images))]
            shuffle += 1
            # what is in this hand already comes last in the new shuffle: no image twice in one hand
            left = [name for name in deck if name not in hand] + [name for name in deck if name in hand]
        need = wanted - len(hand)
        hand, left = hand + left[:need], left[need:]
    return sorted(hand)


def rater_items(
    config: StudyConfig, items: Sequence[Item], calibration: Sequence[str], *, rater: int, form: int
) -> list[Item]:
    """What one rater rates: the form's subset of the design, repeats and attention items.

    Args:
        config: the study.
        items: the whole design (:func:`design_items`).
        calibration: names of the calibration images.
        rater: the rater's number, from 1.
        form: the rater's form, from 0.
    """
    chosen = set()
    for part in config.datasets:
        names = sorted({item.image for item in items if item.dataset == part.name})
        chosen |= {(part.name, name) for name in subset_images(config, part.name, names, form)}
    mine = [item for item in items if (item.dataset, item.image) in chosen]
    if config.repeats is not None:
        twice = {(item.dataset, item.image, item.method) for item in mine if item.repeat}
        once = [item for item in mine if (item.dataset, item.image, item.method) not in twice]
        rng = stream(config.seed, "repeats", rater)
        drawn = sorted(int(k) for k in rng.permutation(len(once))[: config.repeats.count])
        mine += [Item(once[k].dataset, once[k].image, once[k].method, 1) for k in drawn]
    if config.attention is not None:
        versions = config.calibration_versions[::-1]
        rng = stream(config.seed, "attention", rater)
        names = sorted(calibration)
        drawn_names = [names[k] for k in rng.permutation(len(names))[: config.attention.count]]
        mine += [
            Item(config.calibration.dataset, name, versions[number % len(versions)])
            for number, name in enumerate(drawn_names)
        ]
    return mine


def swapped_sides(config: StudyConfig, count: int, *names: str | int) -> list[bool]:
    """Which of ``count`` pairs stand with their second method on the left: half of them, within one.

    Args:
        config: the study; nothing is swapped unless it compares pairs.
        count: how many pairs.
        names: of the random stream.
    """
    if config.scale.method != "pair":
        return [False] * count
    return [bool(k % 2) for k in stream(config.seed, *names, "sides").permutation(count)]


def rater_sides(config: StudyConfig, placed: Sequence[Placed], rater: int) -> list[bool]:
    """:func:`swapped_sides` of a rater's whole order; a repeated pair comes with its sides exchanged."""
    first = sorted(place.item for place in placed if not place.item.repeat)
    swapped = dict(zip(first, swapped_sides(config, len(first), "order", rater), strict=True))
    paired = config.scale.method == "pair"
    return [swapped[replace(place.item, repeat=0)] != (paired and place.item.repeat == 1) for place in placed]


def study_order(config: StudyConfig, items: Sequence[Item], rater: int) -> list[Placed]:
    """:func:`make_order` with the distances, blocks and seed of a study."""
    distances = [part.minimum_distance for part in (config.pilot, config.repeats) if part is not None]
    return make_order(
        items,
        seed=config.seed,
        rater=rater,
        blocks=config.order.blocks,
        minimum_distance=config.order.minimum_distance,
        repeat_distance=max(distances, default=0),
    )


def _try_order(
    dealt: Sequence[list[Item]], rng: np.random.Generator, distance: int, repeat_distance: int
) -> list[Placed] | None:
    placed: list[Placed] = []
    image_seen: dict[tuple[str, str], int] = {}
    shown: dict[Item, int] = {}
    for block, members in enumerate(dealt, start=1):
        start = len(placed) + 1
        arranged = _arrange(members, rng, start, image_seen, shown, distance, repeat_distance)
        if arranged is None:
            return None
        placed += [Placed(item, block, start + offset) for offset, item in enumerate(arranged)]
    return placed


def _deal(items: Sequence[Item], rng: np.random.Generator, blocks: int) -> list[list[Item]]:
    """The items of each block.

    Like cards: method after method is dealt round the blocks without starting over, so that blocks and
    the methods within them differ by at most one. Of a method that is shown twice, first showings go to
    the early blocks.
    """
    by_method: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_method[item.method].append(item)
    methods = sorted(by_method)
    longer = len(items) % blocks  # the first blocks are the longer ones, for every rater alike
    seats = np.concatenate([rng.permutation(longer), longer + rng.permutation(blocks - longer)])
    dealt: list[list[Item]] = [[] for _ in range(blocks)]
    card = 0
    for index in rng.permutation(len(methods)):
        members = by_method[methods[index]]
        shuffled = [members[k] for k in rng.permutation(len(members))]
        shuffled.sort(key=lambda item: item.repeat)  # stable: random within each showing
        quota = Counter(int(seats[(card + k) % blocks]) for k in range(len(shuffled)))
        card += len(shuffled)
        begin = 0
        for block in range(blocks):
            dealt[block] += shuffled[begin : begin + quota[block]]
            begin += quota[block]
    return dealt


def _spread(dealt: list[list[Item]], rng: np.random.Generator) -> None:
    """Exchanges items of one method between blocks until no image has more versions in one than it must.

    Blocks keep lengths and methods. Items that are shown twice stay: their showings have an order.
    """
    versions = [Counter((item.dataset, item.image) for item in members) for members in dealt]
    showings = Counter(replace(item, repeat=0) for members in dealt for item in members)
    seats: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for block, members in enumerate(dealt):
        for place, item in enumerate(members):
            if showings[replace(item, repeat=0)] == 1:
                seats[item.method].append((block, place))
    moved = True
    while moved:  # ends: each exchange lowers the sum of the squared counts
        moved = False
        for method in sorted(seats):
            shuffled = [seats[method][k] for k in rng.permutation(len(seats[method]))]
            for (block, place), (other, there) in combinations(shuffled, 2):
                ours, theirs = dealt[block][place], dealt[other][there]
                a, b = (ours.dataset, ours.image), (theirs.dataset, theirs.image)
                here, beyond = versions[block], versions[other]
                if a == b or block == other or here[a] - beyond[a] + beyond[b] - here[b] <= 2:
                    continue
                dealt[block][place], dealt[other][there] = theirs, ours
                here.subtract([a])
                here.update([b])
                beyond.subtract([b])
                beyond.update([a])
                moved = True


def _arrange(
    members: list[Item],
    rng: np.random.Generator,
    start: int,
    image_seen: dict[tuple[str, str], int],
    shown: dict[Item, int],
    distance: int,
    repeat_distance: int,
) -> list[Item] | None:
    """The block's items in a random order that keeps the distances, or None at a dead end.

    Takes the first item of a shuffle that fits. Where an image has only just room for its remaining
    versions, or a first showing for its repetition, that one is taken first.
    """
    remaining = [members[k] for k in rng.permutation(len(members))]
    versions = Counter((item.dataset, item.image) for item in remaining)
    here = set(remaining)
    awaited = {
        item
        for item in remaining
        if item.repeat == 0 and Item(item.dataset, item.image, item.method, 1) in here
    }
    end = start + len(members)
    deadline = end - repeat_distance - len(awaited)
    arranged: list[Item] = []

    def fits(item: Item, position: int) -> bool:
        seen = image_seen.get((item.dataset, item.image))
        if seen is not None and position - seen < distance:
            return False
        if item.repeat:
            first = shown.get(Item(item.dataset, item.image, item.method, 0))
            return first is not None and position - first >= repeat_distance
        return True

    for position in range(start, end):
        left = end - position
        urgent: set[Item] | None = None
        if awaited and deadline - position <= len(awaited):
            urgent = awaited
        elif (max(versions.values()) - 1) * distance + 1 >= left:
            tight = {image for image, count in versions.items() if (count - 1) * distance + 1 >= left}
            urgent = {item for item in remaining if (item.dataset, item.image) in tight}
        chosen = _first(remaining, position, fits, urgent)
        if chosen is None:
            return None
        item = remaining.pop(chosen)
        awaited.discard(item)
        versions[(item.dataset, item.image)] -= 1
        image_seen[(item.dataset, item.image)] = position
        shown[item] = position
        arranged.append(item)
    return arranged


def _first(
    remaining: list[Item], position: int, fits: Callable[[Item, int], bool], urgent: set[Item] | None
) -> int | None:
    if urgent is not None:
        for index, item in enumerate(remaining):
            if item in urgent and fits(item, position):
                return index
    for index, item in enumerate(remaining):
        if fits(item, position):
            return index
    return None
