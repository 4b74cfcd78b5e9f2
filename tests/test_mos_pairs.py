"""Studies of pairs and of continuous scales: the same exactly-once path, and what they export."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mos_helpers.studies import fill_store, make_study, prepare, small_toml
from sqlalchemy import text

from analysis.io.pairs import read_pairs
from mos_app.db.state import State
from mos_app.db.tables import rating_votes, read_answers
from mos_app.db.votes import VoteService
from mos_app.files.archive import export_study
from mos_app.files.importing import import_study, read_export
from mos_app.files.simulate import SimulationParameters, fill_study, make_synthetic_study
from mos_app.files.stimuli import stimulus_path
from mos_app.files.workspace import Workspace, init_study, open_workspace
from mos_app.study.display import Ballot, DisplayRecord
from mos_app.study.pairs import pair_counts, pair_quality
from mos_app.study.parts import LEFT, RIGHT, TIE
from mos_app.study.progress import Phase
from mos_app.study.results import live_mos, opinion_scores
from mos_app.study.scale import category
from mos_app.study.studyfile import parse_study
from repro.core.errors import UserError
from repro.core.manifest import add_reference, make_manifest, write_manifest
from repro.core.paths import Results

PAIR = """
[scale]
method = "pair"
pairs = [["nearest", "SRGAN-VGG54"], ["HR", "bicubic"], ["nearest", "bicubic"]]

[repeats]
count = 4
minimum_distance = 3

[attention]
count = 2
"""
SLIDER = '\n[scale]\nmethod = "slider"\n'
TOML = small_toml(raters=3, calibration=4, check_items=3, more=PAIR)


@pytest.fixture
def paired(tmp_path: Path) -> Iterator[tuple[Results, Workspace]]:
    results, workspace = make_study(tmp_path, TOML)
    yield results, workspace
    workspace.close()


def answer(
    service: VoteService, invite: str, state: State, score: int, slider: int | None = None
) -> tuple[str, Ballot]:
    assert state.current is not None
    ballot = Ballot(
        item=state.current.item,
        nonce=f"{state.key}-{state.place:04d}-".ljust(22, "n"),
        score=score,
        slider=slider,
        response_ms=900,
        display=DisplayRecord(surface="plain"),
    )
    return service.vote(invite, ballot).verdict, ballot


def shown(workspace: Workspace, service: VoteService, invite: str) -> tuple[str, str]:
    """The methods on the left and on the right, by the bytes that the rater's browser gets."""
    item = service.state(invite).current
    assert item is not None
    assert item.beside is not None
    with workspace.database.read() as connection:
        rows = connection.execute(text("SELECT sha256, method FROM stimulus WHERE first_id IS NULL"))
        names = {row.sha256: row.method for row in rows}
    left, right = (service.stimulus(invite, name) for name in (item.beside, item.image))
    for sha256 in (left, right):
        assert stimulus_path(workspace.folder.stimuli, sha256 or "").is_file()
    return names[left], names[right]


def walk(workspace: Workspace, code: str, choose: dict[str, int]) -> list[tuple[str, str, str]]:
    """Answers everything: the better of two by ``choose`` (method -> rank); (phase, left, right) of each."""
    service = VoteService(workspace.database, workspace.study)
    invite = prepare(workspace, code)
    seen = []
    while (state := service.state(invite)).current is not None:
        left, right = shown(workspace, service, invite)
        better = np.sign(choose[right] - choose[left])
        score = {1: RIGHT, -1: LEFT, 0: TIE}[int(better)]
        assert state.current.label in (None, score)
        assert answer(service, invite, state, score)[0] == "saved"
        seen.append((str(state.screen.phase), left, right))
    assert state.screen.kind == "thanks"
    return seen


RANKS = {"nearest": 1, "bicubic": 1, "SRGAN-VGG54": 2, "HR": 3}


def test_pairs_go_the_whole_way(paired: tuple[Results, Workspace], tmp_path: Path) -> None:
    """From the examples to the export: what stood where, what was preferred, and back by import."""
    results, workspace = paired
    seen = walk(workspace, "r01", RANKS)
    walk(workspace, "r02", RANKS)
    phases = Counter(phase for phase, _, _ in seen)
    assert phases == {"example": 4, "check": 3, "rating": 3 * 6 + 4 + 2}
    files = read_export(export_study(workspace))
    assert not {"ratings.csv", "mos.csv", "ratings_wide.csv", "sureal.json"} & set(files)
    table = pd.read_csv(io.BytesIO(files["pairs.csv"]))
    assert list(table.columns) == [
        *("study", "rater", "dataset", "image", "first", "second", "left", "preferred", "repeat", "block"),
        *("position", "response_ms", "excluded", "flagged", "synthetic", "answered_ms", "answered_at"),
        *("surface", "pixel_ratio", "magnification", "exposures", "deviations"),
    ]
    mine = table[table["rater"] == "r01"].set_index("position")
    assert len(mine) == 3 * 6 + 4
    assert not mine.reset_index().duplicated(["image", "first", "second", "repeat"]).any()
    # the order of the study file's methods, whatever side and however the pair was named
    assert set(zip(mine["first"], mine["second"], strict=True)) == {
        ("nearest", "SRGAN-VGG54"),
        ("bicubic", "HR"),
        ("nearest", "bicubic"),
    }
    rated = [(left, right) for phase, left, right in seen if phase == "rating"]
    for position, row in mine.iterrows():
        left, right = rated[int(str(position)) - 1]
        assert {left, right} == {row["first"], row["second"]}
        assert left == row[row["left"]]
        ranks = RANKS[row["first"]] - RANKS[row["second"]]
        assert row["preferred"] == {1: "first", -1: "second", 0: "tie"}[int(np.sign(ranks))]
    once = mine[mine["repeat"] == 0]
    # sides: half of the order, attention pairs included, within one
    assert abs((once["left"] == "first").sum() - len(once) / 2) <= 1.5
    again = mine[mine["repeat"] == 1].merge(once, on=["image", "first", "second"])
    assert len(again) == 4
    assert (again["left_x"] != again["left_y"]).all()
    assert files["calibration.csv"].count(b",attention,") == 4
    assert len(read_pairs(workspace.folder.export / "pairs.csv").frame) == 2 * 3 * 6  # repeats apart
    import_study(results, workspace.folder.export_zip, name="back")
    back = open_workspace(results, "back")
    for name, data in read_export(export_study(back)).items():
        assert name == "manifest.json" or data == files[name]
    back.close()


def test_a_pair_counts_once_and_only_with_an_answer_of_its_scale(tmp_path: Path) -> None:
    toml = TOML.replace('method = "pair"', 'method = "pair"\nties = false')
    _, workspace = make_study(tmp_path, toml)
    service = VoteService(workspace.database, workspace.study)
    invite = prepare(workspace, "r01")
    state = service.state(invite)
    assert state.current is not None
    wrong = LEFT if state.current.label == RIGHT else RIGHT
    assert answer(service, invite, state, TIE)[0] == "scale"
    assert answer(service, invite, state, 5)[0] == "scale"
    assert answer(service, invite, state, state.current.label or 0, slider=3)[0] == "scale"
    assert answer(service, invite, state, wrong)[0] == "label"
    verdict, ballot = answer(service, invite, state, state.current.label or 0)
    assert verdict == "saved"
    assert service.vote(invite, ballot).verdict == "repeated"
    assert service.vote(invite, ballot.model_copy(update={"nonce": "m" * 22})).verdict == "conflict"
    with workspace.database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM vote")).scalar_one() == 1
    workspace.close()


def test_undo_keeps_the_sides(paired: tuple[Results, Workspace]) -> None:
    _, workspace = paired
    service = VoteService(workspace.database, workspace.study)
    invite = prepare(workspace, "r01")
    for _ in range(7):
        left, right = shown(workspace, service, invite)
        score = RIGHT if RANKS[right] > RANKS[left] else LEFT
        assert answer(service, invite, service.state(invite), score)[0] == "saved"
    before = shown(workspace, service, invite)
    assert answer(service, invite, service.state(invite), TIE)[0] == "saved"
    current = service.state(invite).current
    assert current is not None
    assert service.undo(invite, current.item).verdict == "saved"
    assert shown(workspace, service, invite) == before


def test_pairs_follow_from_the_methods_where_none_are_named() -> None:
    config = parse_study(small_toml(calibration=4, more='\n[scale]\nmethod = "pair"\n'), "x")
    (part,) = config.datasets
    assert len(config.pairs_of(part)) == 6
    less = config.without_methods({("Set5", "HR")})
    assert [pair for pair in config.pairs_of(part) if "HR" not in pair] == less.pairs_of(less.datasets[0])
    named = parse_study(TOML, "x").without_methods({("Set5", "HR")})
    assert named.pairs_of(named.datasets[0]) == [("nearest", "bicubic"), ("nearest", "SRGAN-VGG54")]
    only = TOML.replace(
        '["nearest", "SRGAN-VGG54"], ["HR", "bicubic"], ["nearest", "bicubic"]', '["HR", "bicubic"]'
    )
    with pytest.raises(UserError, match="none of the pairs is left"):
        parse_study(only, "x").without_methods({("Set5", "HR")})


@pytest.mark.parametrize("setting", ["calibration]\nlow_at_most = 1", "quality]\nhigh_mean_at_least = 4"])
def test_settings_of_single_pictures_are_refused(setting: str) -> None:
    toml = small_toml(calibration=4, more='\n[scale]\nmethod = "pair"\n')
    part = setting.partition("\n")[0]
    toml = toml.replace(f"[{part}", f"[{setting}") if f"[{part}" in toml else f"{toml}\n[{setting}\n"
    with pytest.raises(UserError, match="with pairs"):
        parse_study(toml, "x")
    parse_study(toml, "x", stored=True)  # a study that was made before goes on


def test_careless_judges_of_pairs_are_named(tmp_path: Path) -> None:
    toml = small_toml(raters=8, images=12, calibration=4, check_items=3, more='\n[scale]\nmethod = "pair"\n')
    make_synthetic_study(Results(tmp_path), parse_study(toml, "x"), toml, name="x-synthetic")
    workspace = open_workspace(Results(tmp_path), "x-synthetic")
    fill_study(workspace, 8, SimulationParameters(careless=1), seed=3)
    votes, attention = rating_votes(read_answers(workspace.database), workspace.study.config)
    found = pair_quality(votes, workspace.study.per_rater, workspace.study.config, attention).set_index(
        "rater"
    )
    assert list(found.index[found["warnings"] != ""]) == ["r08"]
    assert found.loc["r08", "warnings"] == "unlike the others"
    assert (found["done"] == 1).all()
    assert found["left"].between(0.3, 0.7).all()
    counts = pair_counts(votes, workspace.study.config).set_index(["first", "second"])
    assert (counts["votes"] == 8 * 12).all()
    best = counts.loc[("nearest", "HR")]
    assert best["second preferred"] > 0.8 * best["votes"]
    assert counts["no difference"].sum() > 0
    workspace.close()


def test_a_sliders_votes_are_positions_and_fifths(tmp_path: Path) -> None:
    _, workspace = make_study(tmp_path, small_toml(raters=2, more=SLIDER))
    service = VoteService(workspace.database, workspace.study)
    invite = prepare(workspace, "r01")
    state = service.state(invite)
    assert state.current is not None
    assert answer(service, invite, state, 5)[0] == "scale"  # no position
    assert answer(service, invite, state, 1, slider=77)[0] == "scale"  # another fifth
    assert answer(service, invite, state, 6 - (state.current.label or 0), slider=50)[0] == "scale"
    assert answer(service, invite, state, 3, slider=50)[0] == "label"
    positions = iter(range(3, 100, 4))
    given = []
    while (state := service.state(invite)).current is not None:
        at = next(positions, 40) if state.screen.phase == Phase.RATING else 99
        if state.current.label is not None:
            at = 20 * state.current.label - 10
        verdict, _ = answer(service, invite, state, category(at), slider=at)
        assert verdict == "saved"
        if state.screen.phase == Phase.RATING:
            given.append(at)
        if service.state(invite).screen.kind == "retry":
            service.retry_check(invite)
    assert len(given) == 24
    files = read_export(export_study(workspace))
    table = pd.read_csv(io.BytesIO(files["ratings.csv"])).sort_values("position")
    assert table["slider"].tolist() == given
    assert table["score"].tolist() == [category(at) for at in given]
    votes, _ = rating_votes(read_answers(workspace.database), workspace.study.config)
    mos = opinion_scores(votes, workspace.study.config)
    wanted = votes.groupby("method")["slider"].mean() / 20 + 0.5
    overall = mos[mos["image"] == ""].set_index("method")["mos"]
    np.testing.assert_allclose(overall, wanted.astype(float).loc[overall.index], atol=1e-6)
    live = live_mos(votes, workspace.study.config).set_index("method")["mos"]
    np.testing.assert_allclose(live, wanted.astype(float).loc[live.index])
    import_study(Results(tmp_path), workspace.folder.export_zip, name="back")
    workspace.close()


def test_simulated_sliders_have_the_wanted_means(tmp_path: Path) -> None:
    toml = small_toml(raters=40, images=20, more=SLIDER)
    make_synthetic_study(Results(tmp_path), parse_study(toml, "x"), toml, name="x-synthetic")
    workspace = open_workspace(Results(tmp_path), "x-synthetic")
    told = fill_study(workspace, 40, SimulationParameters(), seed=0)
    votes, _ = rating_votes(read_answers(workspace.database), workspace.study.config)
    assert (votes["slider"].map(category) == votes["score"]).all()
    for method in ("bicubic", "SRGAN-VGG54"):
        mine = votes[votes["method"] == method]
        assert mine["score"].mean() == pytest.approx(told["expected_mos"][f"Set5/{method}"], abs=0.2)
    workspace.close()


def test_reference_images_of_methods_are_listed(tmp_path: Path) -> None:
    """SRNTT and CrossNet are given pictures: the study and its export say which."""
    results = Results(tmp_path)
    config = parse_study(small_toml(), "x")
    fill_store(results, config)
    inputs = {"low-resolution images": "b" * 64}
    for sha256 in ("a" * 64, "c" * 64, "a" * 64):  # two files of one name, one of them given twice
        add_reference(inputs, "church.png", sha256)
    manifest = make_manifest(kind="result images", inputs=inputs, dataset="Set5", method="SRGAN-VGG54")
    write_manifest(results.method_manifest("Set5", "SRGAN-VGG54"), manifest)
    init_study(results, config, small_toml(), name="small")
    workspace = open_workspace(results, "small")
    wanted = {"Set5": {"SRGAN-VGG54": {"church.png": "a" * 64, "church.png (2)": "c" * 64}}}
    assert workspace.study.reference_images == wanted
    import_study(results, export_study(workspace), name="back")
    workspace.close()
    back = open_workspace(results, "back")
    assert back.study.reference_images == wanted
    back.close()
