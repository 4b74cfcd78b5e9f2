"""Viewing conditions: what the study file may ask for, who is refused, and what votes say about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mos_helpers.studies import log_entries, make_study, small_toml
from sqlalchemy import text

from mos_app.db.raters import Registry
from mos_app.db.votes import VoteService
from mos_app.files.workspace import Workspace
from mos_app.study.display import Ballot, DisplayRecord
from mos_app.study.parts import ViewingPart
from mos_app.study.progress import Kind
from mos_app.study.studyfile import parse_study
from mos_app.study.viewing import (
    magnification,
    pixels_per_degree,
    problems,
    ring_gap,
    same_screen,
    unsuitable,
)
from repro.core.errors import UserError

RULES = """
[viewing]
displays = ["desktop", "laptop"]
minimum_squares = 6
card = true
pixels_per_degree = [25, 80]
magnification = 3
acuity = 0.5
colour_plates = 4
refuse = ["display", "window"]
"""
GOOD = {
    "patches": 8,
    "fits": True,
    "pixel_ratio": 1.25,
    "screen_width": 1536,
    "screen_height": 864,
    "touch": False,
    "pixels_per_mm": 3.78,
    "distance_mm": 600,
}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    _, opened = make_study(tmp_path, small_toml(more=RULES))
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("change", "display", "vision", "broken"),
    [
        ({}, "laptop", "corrected", []),
        ({}, "phone", "corrected", ["display"]),
        # a phone that calls itself a laptop
        ({"touch": True, "screen_width": 360, "screen_height": 780}, "laptop", "corrected", ["display"]),
        ({"touch": True}, "laptop", "corrected", []),
        ({}, "laptop", "impaired", ["vision"]),
        ({"patches": 5}, "laptop", "not-told", ["squares"]),
        ({"patches": 0, "fits": False}, "phone", "impaired", ["display", "vision", "squares", "window"]),
        ({"distance_mm": 200}, "laptop", "corrected", ["density"]),
        ({"pixels_per_mm": None}, "laptop", "corrected", ["density"]),
        ({"rings_right": 5, "plates_right": 4}, "laptop", "corrected", ["acuity"]),
        ({"rings_right": 6, "plates_right": 3}, "laptop", "corrected", ["colour"]),
    ],
)
def test_rules_are_judged(change: dict[str, object], display: str, vision: str, broken: list[str]) -> None:
    rules = parse_study(small_toml(more=RULES), "x").viewing
    assert problems(rules, {**GOOD, **change}, display=display, vision=vision) == broken


def test_answers_alone_break_no_rule_that_has_to_be_measured() -> None:
    rules = parse_study(small_toml(more=RULES), "x").viewing
    assert unsuitable(rules, "laptop", "corrected") == []
    assert unsuitable(rules, "tablet", "impaired") == ["display", "vision"]


def test_pixels_per_degree_by_hand() -> None:
    # at 57.3 cm one degree is 10.0 mm
    seen = pixels_per_degree({"pixels_per_mm": 4.0, "distance_mm": 572.957795, "pixel_ratio": 1}, 1)
    assert seen == pytest.approx(40.0, abs=0.01)
    # a dense phone that shows every picture pixel as 3 x 3
    dense = {"pixels_per_mm": 12.0, "distance_mm": 572.957795, "pixel_ratio": 3}
    assert pixels_per_degree(dense, 3) == pytest.approx(40.0, abs=0.01)
    assert pixels_per_degree(dense, 1) == pytest.approx(120.0, abs=0.01)
    assert pixels_per_degree({"pixels_per_mm": 4.0}, 1) is None


def test_a_rings_gap_by_hand() -> None:
    # at 6 m a minute of arc is 1.745 mm; half the acuity, twice the gap
    seen = {"pixels_per_mm": 4.0, "distance_mm": 6000.0}
    assert ring_gap(seen, 1.0) == pytest.approx(4 * 1.745329, abs=1e-5)
    assert ring_gap(seen, 0.5) == pytest.approx(8 * 1.745329, abs=1e-5)
    assert ring_gap({"pixels_per_mm": 4.0}, 1.0) is None


def test_magnification_follows_the_pixel_ratio() -> None:
    ratios = (1, 1.25, 1.5, 1.75, 2, 2.625, 2.75, 3, 4)
    assert [magnification(ratio, 3) for ratio in ratios] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert {magnification(ratio, 1) for ratio in ratios} == {1}


def test_zoom_is_not_another_screen() -> None:
    checked = {"screen_width": 1536, "screen_height": 864, "pixel_ratio": 1.25}
    assert same_screen(checked, 1920, 1080, 1.0)
    assert same_screen(checked, 864, 1536, 1.25)  # turned
    assert not same_screen(checked, 1280, 800, 1.0)
    assert same_screen({}, 1280, 800, 1.0)


def test_whoever_breaks_a_refusing_rule_does_not_get_on(workspace: Workspace) -> None:
    registry = Registry(workspace.database, workspace.study)
    vote_service = VoteService(workspace.database, workspace.study)
    invite = registry.invite("r01")
    registry.consent(invite, "en")
    registry.answer_questions(invite, "25-34", "corrected", "laptop")
    assert registry.check_viewing(invite, {**GOOD, "fits": False}) == ["window"]
    assert vote_service.state(invite).screen.kind == Kind.VIEWING
    # flagged only: may go on
    assert registry.check_viewing(invite, {**GOOD, "patches": 2}) == []
    assert vote_service.state(invite).screen.kind == Kind.INSTRUCTIONS
    with workspace.database.read() as connection:
        sessions = connection.execute(text("SELECT * FROM viewing_session ORDER BY id")).all()
    assert [(row.problems, bool(row.refused)) for row in sessions] == [("window", True), ("squares", False)]
    assert json.loads(sessions[1].measured)["distance_mm"] == 600
    assert [entry.kind for entry in log_entries(workspace, 2)] == ["viewing_checked", "viewing_refused"]


def test_votes_carry_what_the_viewing_check_found(workspace: Workspace) -> None:
    registry = Registry(workspace.database, workspace.study)
    vote_service = VoteService(workspace.database, workspace.study)
    invite = registry.invite("r01")
    registry.consent(invite, "en")
    registry.answer_questions(invite, "25-34", "impaired", "laptop")
    registry.check_viewing(invite, dict(GOOD))
    registry.instructed(invite)
    state = vote_service.state(invite)
    assert state.current is not None
    width, height = state.current.width, state.current.height
    display = DisplayRecord(
        surface="stage",
        pixel_ratio=3,
        rect_left=3,
        rect_top=3,
        rect_width=width,
        rect_height=height,
        zoom=1,
        window_width=400,
        window_height=700,
        screen_width=400,
        screen_height=800,
        hidden=False,
    )
    press = Ballot(
        item=state.current.item,
        nonce="n" * 22,
        score=state.current.label or 1,
        response_ms=500,
        display=display,
    )
    assert vote_service.vote(invite, press).verdict == "saved"
    with workspace.database.read() as connection:
        found = connection.execute(text("SELECT deviations, magnification FROM vote")).one()
    assert tuple(found) == ("dense viewing moved", 1)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ("pixels_per_degree = [20, 80]", "needs card"),
        ("card = true\npixels_per_degree = [80, 20]", "least, greatest"),
        ("blind_spot = true", "needs card"),
        ("acuity = 0.5", "needs card"),
        ("colour_plates = 6", "colour_plates"),
        ("displays = []", "no display"),
        ('displays = ["watch"]', "viewing.displays"),
        ("magnification = 4", "magnification"),
        ('refuse = ["weather"]', "refuse"),
    ],
)
def test_wrong_rules_are_refused_by_name(rules: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_study(small_toml(more=f"\n[viewing]\n{rules}\n"), "x")
    assert told in refused.value.got


def test_a_study_without_rules_asks_only_for_room() -> None:
    assert ViewingPart().refuse == ["window"]
    assert parse_study(small_toml(), "x").viewing == ViewingPart()
