"""Order: the guarantees over 1000 seeds, and an order that the seed alone gives again."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mos_helpers.orders import violations

from mos_app.study.definition import StudyConfig
from mos_app.study.order import Item, block_sizes, design_items, make_order, study_order
from mos_app.study.studyfile import read_template
from repro.core.errors import UserError
from repro.papers.srgan import RATINGS_PER_RATER, VERSIONS_BSD100, VERSIONS_SET5_SET14


def items_of(config: StudyConfig) -> list[Item]:
    return design_items(
        config,
        {
            part.name: part.images or [f"img_{number:03d}" for number in range(1, part.count + 1)]
            for part in config.datasets
        },
    )


def wrong(config: StudyConfig, items: list[Item], rater: int = 1) -> list[str]:
    return violations(
        study_order(config, items, rater),
        items,
        blocks=config.order.blocks,
        minimum_distance=config.order.minimum_distance,
        repeat_distance=config.pilot.minimum_distance if config.pilot else 0,
    )


def test_the_paper_template_is_the_papers_design() -> None:
    config, _ = read_template("paper")
    methods = {part.name: tuple(part.methods) for part in config.datasets}
    assert methods == {
        "Set5": VERSIONS_SET5_SET14,
        "Set14": VERSIONS_SET5_SET14,
        "BSD100": VERSIONS_BSD100,
    }
    assert len(items_of(config)) == RATINGS_PER_RATER
    assert block_sizes(RATINGS_PER_RATER, config.order.blocks) == (188,) * 6


@pytest.mark.parametrize(
    ("template", "seeds"),
    [("paper", 150), pytest.param("paper", 1000, marks=pytest.mark.slow), ("pilot", 1000), ("demo", 1000)],
)
def test_every_seed_keeps_every_guarantee(template: str, seeds: int) -> None:
    config, _ = read_template(template)
    items = items_of(config)
    for seed in range(seeds):
        assert wrong(config.model_copy(update={"seed": seed}), items) == []


def test_orders_differ_between_raters_and_seeds_and_repeat_themselves() -> None:
    config, _ = read_template("paper")
    items = items_of(config)
    one = study_order(config, items, 1)
    assert study_order(config, items, 1) == one
    assert study_order(config, items, 2) != one
    assert study_order(config.model_copy(update={"seed": 9}), items, 1) != one


def test_places_are_evenly_spread() -> None:
    """No method and no image is favoured by early places: mean positions stay near the middle."""
    config, _ = read_template("demo")
    items = items_of(config)
    sums: Counter[str] = Counter()
    raters = 600
    for rater in range(1, raters + 1):
        for place in study_order(config, items, rater):
            sums[place.item.method] += place.position
            sums[place.item.image] += place.position
    middle = (len(items) + 1) / 2
    for name, total in sums.items():
        shown = raters * sum(name in (item.method, item.image) for item in items)
        assert abs(total / shown - middle) < 0.6, name


@settings(max_examples=60, deadline=None)
@example(images=8, methods=5, blocks=5, distance=5, seed=1_000_000)  # none in 500 tries of chance alone
@example(images=8, methods=9, blocks=5, distance=5, seed=1)
@given(
    images=st.integers(8, 30),
    methods=st.integers(1, 9),
    blocks=st.integers(1, 5),
    distance=st.integers(1, 5),
    seed=st.integers(0, 2**40),
)
def test_any_feasible_design_keeps_its_guarantees(
    images: int, methods: int, blocks: int, distance: int, seed: int
) -> None:
    items = [Item("d", f"i{i}", f"m{m}") for i in range(images) for m in range(methods)]
    placed = make_order(items, seed=seed, rater=1, blocks=blocks, minimum_distance=distance)
    assert violations(placed, items, blocks=blocks, minimum_distance=distance) == []


def test_violations_sees_what_a_plain_shuffle_does_wrong() -> None:
    config, _ = read_template("paper")
    items = items_of(config)
    placed = study_order(config, items, 1)
    swapped = list(placed)
    swapped[3], swapped[900] = placed[900], placed[3]
    checks = {"blocks": 6, "minimum_distance": 6}
    assert violations(swapped, items, **checks) != []
    assert "not every item exactly once" in violations(placed[:-1], items, **checks)


def test_a_distance_that_cannot_be_kept_is_refused() -> None:
    items = [Item("d", f"i{i}", f"m{m}") for i in range(3) for m in range(4)]
    with pytest.raises(UserError, match="distance 5"):
        make_order(items, seed=0, rater=1, blocks=1, minimum_distance=5)


def test_few_images_and_short_blocks_with_repetitions() -> None:
    """Chance alone finds none of these in 500 tries: images' versions are then spread over the blocks."""
    for images, methods, blocks, repeat_distance in ((8, 5, 5, 12), (8, 4, 5, 8)):
        items = [Item("d", f"i{i}", f"m{m}") for i in range(images) for m in range(methods)]
        items += [Item("d", f"i{i}", "m0", repeat=1) for i in range(images)]
        checks = {"blocks": blocks, "minimum_distance": 5, "repeat_distance": repeat_distance}
        for seed in range(5):
            assert violations(make_order(items, seed=seed, rater=1, **checks), items, **checks) == []
