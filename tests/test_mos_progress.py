"""Progress: which screen follows from what the database knows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mos_helpers.studies import small_toml

from mos_app.study.progress import (
    CheckResult,
    Facts,
    Kind,
    Phase,
    Screen,
    decide,
    is_right,
    passed,
    sitting_start,
)
from mos_app.study.studyfile import parse_study, read_template

CONFIG = parse_study(small_toml(), "x")
NOW = 1_000_000_000_000
MINUTE = 60_000

RATING = Facts(
    consented=True,
    answered_questions=True,
    viewing_ms=NOW - 20 * MINUTE,
    instructed_ms=NOW - 20 * MINUTE,
    check_attempt=1,
    last_answer_ms=NOW - 1000,
    last_vote_ms=NOW - 1000,
    sitting_started_ms=NOW - 20 * MINUTE,
    examples_left=0,
    checks=(CheckResult(1, 4, 4, 4), CheckResult(2, 4, 0, 0)),
    warmup_attempt=None,
    ratings_left=4,
)


@pytest.mark.parametrize(
    ("change", "screen"),
    [
        ({}, Screen(Kind.STAGE, Phase.RATING)),
        ({"consented": False}, Screen(Kind.CONSENT)),
        ({"answered_questions": False}, Screen(Kind.QUESTIONS)),
        ({"viewing_ms": None}, Screen(Kind.VIEWING)),
        ({"instructed_ms": None}, Screen(Kind.INSTRUCTIONS)),
        ({"ratings_left": 0}, Screen(Kind.THANKS)),
        ({"examples_left": 3}, Screen(Kind.STAGE, Phase.EXAMPLE)),
        ({"checks": (CheckResult(1, 4, 3, 3),)}, Screen(Kind.STAGE, Phase.CHECK, 1)),
        ({"checks": (CheckResult(1, 4, 4, 2), CheckResult(2, 4, 0, 0))}, Screen(Kind.RETRY)),
        (
            {"check_attempt": 2, "checks": (CheckResult(1, 4, 4, 2), CheckResult(2, 4, 1, 0))},
            Screen(Kind.STAGE, Phase.CHECK, 2),
        ),
        # failed twice: flagged elsewhere, and on with it
        (
            {"check_attempt": 2, "checks": (CheckResult(1, 4, 4, 2), CheckResult(2, 4, 4, 0))},
            Screen(Kind.STAGE, Phase.RATING),
        ),
        ({"warmup_attempt": 2}, Screen(Kind.STAGE, Phase.WARMUP, 2)),
        (
            {"sitting_started_ms": NOW - 31 * MINUTE},
            Screen(Kind.BREAK, until_ms=NOW - 1000 + 5 * MINUTE),
        ),
        # the break is over
        (
            {"sitting_started_ms": NOW - 45 * MINUTE, "last_vote_ms": NOW - 6 * MINUTE},
            Screen(Kind.STAGE, Phase.RATING),
        ),
        # back after more than twelve hours
        (
            {
                "instructed_ms": NOW - 800 * MINUTE,
                "last_answer_ms": NOW - 721 * MINUTE,
                "last_vote_ms": NOW - 721 * MINUTE,
            },
            Screen(Kind.INSTRUCTIONS),
        ),
        # and the screen, perhaps another one, is checked first
        (
            {"viewing_ms": NOW - 800 * MINUTE, "last_answer_ms": NOW - 721 * MINUTE},
            Screen(Kind.VIEWING),
        ),
        (
            {
                "instructed_ms": NOW - 800 * MINUTE,
                "last_answer_ms": NOW - 719 * MINUTE,
                "last_vote_ms": NOW - 719 * MINUTE,
                "sitting_started_ms": NOW - 719 * MINUTE,
            },
            Screen(Kind.STAGE, Phase.RATING),
        ),
    ],
)
def test_the_screen_follows_from_the_facts(change: dict[str, object], screen: Screen) -> None:
    assert decide(replace(RATING, **change), CONFIG, NOW) == screen


def test_a_sitting_ends_with_a_pause() -> None:
    assert sitting_start(RATING, CONFIG, NOW) == RATING.sitting_started_ms
    rested = replace(RATING, last_vote_ms=NOW - 5 * MINUTE)
    assert sitting_start(rested, CONFIG, NOW) == NOW
    assert sitting_start(replace(RATING, sitting_started_ms=None), CONFIG, NOW) == NOW


def test_the_checks_criterion_is_eighteen_of_twenty() -> None:
    config, _ = read_template("paper")
    assert passed(CheckResult(1, 20, 20, 18), config)
    assert not passed(CheckResult(1, 20, 20, 17), config)
    assert not passed(CheckResult(1, 20, 19, 19), config)
    right = {
        (method, score): is_right(method, False, score, config)
        for method in ("HR", "nearest")
        for score in range(1, 6)
    }
    accepted = {("HR", 4), ("HR", 5), ("nearest", 1), ("nearest", 2)}
    assert {key for key, value in right.items() if value} == accepted
