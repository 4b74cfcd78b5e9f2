"""Votes that are equal, few or missing: no warning, no NaN in print, no more said than is shown."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from analysis_synthetic import paper_means, votes, write_study
from test_analysis_paired import write_pairs
from test_analysis_tables import metrics_lines, results_with

from analysis.io.metrics import read_metrics
from analysis.io.pairs import read_pairs
from analysis.io.ratings import COLUMNS, Ratings, read_ratings
from analysis.io.training_runs import TrainingRun, read_runs
from analysis.judge.claims import _paper_mode, decide, retested
from analysis.judge.plan import compared_plan
from analysis.judge.seeds import seed_spreads
from analysis.judge.values import Judge
from analysis.judge.verdict import verdict
from analysis.stats.claims import BY_KEY, Decision
from analysis.stats.comparison import compare
from analysis.stats.defaults import Spread
from analysis.stats.design import difference_variance, resolvable_difference
from analysis.stats.intervals import interval, two_way_draws, two_way_p, variance_of_mean
from analysis.stats.paired import TIE, davidson, separated
from analysis.stats.rater_models import p910
from analysis.stats.rater_quality import trends
from analysis.stats.retest import retest
from analysis.stats.significance import pair_tests
from analysis.stats.votes import DatasetRatings
from analysis.study.opinions import NoOpinions
from analysis.study.results import DatasetResult, Study, analyse
from analysis.study.views import OrdinalView, VoteView
from analysis.tables.csv_text import to_csv
from analysis.tables.grid import Cell, Column, Grid, Table
from analysis.tables.paired import paired_tables
from analysis.tables.raters import rater_table
from analysis.tables.retest import retest_table
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.core.streams import stream

pytestmark = pytest.mark.filterwarnings("error")


def data_set(votes_irv: np.ndarray, methods: tuple[str, ...], name: str = "Set14") -> DatasetRatings:
    images, raters, _ = votes_irv.shape
    names = (tuple(f"i{n}" for n in range(images)), tuple(f"r{n}" for n in range(raters)))
    return DatasetRatings(name, *names, methods, votes_irv)


# --- images and raters without a vote --------------------------------------------------------------------


def test_images_and_raters_without_votes_are_not_in_the_sample() -> None:
    """As if they were not in the array; counted as their fit they made the error too small by half."""
    values = stream(0, "sample").normal(0.3, 0.5, (14, 26))
    values += stream(1, "sample").normal(0, 0.4, (14, 1))
    values[2, 3] = np.nan
    more = np.full((30, 40), np.nan)
    more[5:19, 7:33] = values
    assert two_way_p(more) == pytest.approx(two_way_p(values))
    alone, among = (
        interval(array, two_way_draws(*array.shape, stream(9, "sample"), 2000)) for array in (values, more)
    )
    assert (among.mean, among.low, among.high) == pytest.approx((alone.mean, alone.low, alone.high), abs=0.02)
    # a plain loop over the formula, for complete votes: images, raters, rest
    whole = values[3:]
    images, raters = whole.shape
    rest = whole - whole.mean(1, keepdims=True) - whole.mean(0, keepdims=True) + whole.mean()
    ms = [
        raters * whole.mean(1).var(ddof=1),
        images * whole.mean(0).var(ddof=1),
        (rest**2).sum() / ((images - 1) * (raters - 1)),
    ]
    assert variance_of_mean(whole)[0] == pytest.approx((ms[0] + ms[1] - ms[2]) / whole.size)


def test_the_interval_covers_where_a_method_was_rated_on_a_third_of_the_images() -> None:
    """Two thirds of the images and some raters lack: 69 % instead of 95 % before."""
    hits = 0
    for number in range(100):
        rng = stream(2, "third", number)
        values = rng.normal(0, 0.3, (15, 1)) + rng.normal(0, 0.3, (1, 20)) + rng.normal(0, 0.6, (15, 20))
        values[5:] = np.nan
        found = interval(values, two_way_draws(15, 20, rng, 200))
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0 <= found.high
    assert hits >= 88


def test_a_method_rated_on_one_image_has_no_interval_and_no_p() -> None:
    values = np.full((5, 6), np.nan)
    values[1] = [1, 2, 3, 4, 5, 5]
    assert interval(values, two_way_draws(5, 6, stream(3, "one"), 20)).low is None
    assert two_way_p(values) == 1.0


def test_images_and_raters_without_common_votes_are_no_observations() -> None:
    """Bounds from three times the images showed an equivalence that is not there in 9 of 100 studies."""
    seen = np.random.default_rng(2).normal(0.2, 0.6, (7, 12))
    padded = np.full((21, 15), np.nan)
    padded[3:10, 2:14] = seen
    assert compare(padded) == compare(seen)


@pytest.mark.parametrize("shape", [(3, 3), (6, 10), (6, 0)])
def test_methods_that_nobody_rated_both_are_not_compared(shape: tuple[int, int]) -> None:
    found = compare(np.full(shape, np.nan))
    assert (found.low, found.high, found.p) == (-math.inf, math.inf, 1.0)
    assert not found.differs
    assert not found.equivalent(1.0)


def test_a_claim_on_methods_of_different_raters_is_open_and_says_no_number() -> None:
    rng = stream(4, "between")
    x = votes(rng, dict.fromkeys("abcde", 3.0), 8, 10)
    for version in range(5):  # each rater saw one method
        x[:, np.arange(10) % 5 != version, version] = np.nan
    claim = BY_KEY["vgg54"]
    decision, words = decide(claim, VoteView({"Set14": data_set(x, claim.methods)}))
    assert decision is Decision.UNDECIDED
    assert "(–)" in words
    assert "nan" not in words


def test_a_rater_without_votes_leaves_the_model_of_the_others_as_it_is() -> None:
    scores = np.rint(stream(5, "p910").normal(3, 1, (12, 5)))
    alone, among = p910(scores), p910(np.insert(scores, 2, np.nan, axis=1))
    assert among.quality_e == pytest.approx(alone.quality_e)
    assert np.delete(among.bias_r, 2) == pytest.approx(alone.bias_r)
    assert math.isnan(among.bias_r[2])


def test_a_method_rated_on_some_images_is_partial_and_not_judged(tmp_path: Path) -> None:
    means = {key: mean for key, mean in paper_means().items() if key[0] == "Set5"}
    path = write_study(tmp_path / "ratings.csv", stream(6, "partial"), means, 8, synthetic=0)
    frame = pd.read_csv(path)
    frame = frame[(frame["method"] != "bicubic") | frame["image"].isin(["img_001", "img_002"])]
    frame.to_csv(path, index=False)
    results = results_with(tmp_path, metrics_lines({("Set5", "bicubic"): (28.43, 0.8211)}, {"Set5": 5}))
    judge = Judge(read_metrics(results), analyse(read_ratings(path), None, seed=0, draws=50), results)
    record = judge.record("Set5", "bicubic", "mos")
    assert record.partial
    assert record.why == "not all of the data set's images were rated"
    assert not judge.record("Set5", "nearest", "mos").partial


# --- votes that are all alike ----------------------------------------------------------------------------


def test_equal_methods_do_not_differ_by_latent_units() -> None:
    """Both have the same votes: the difference is none, whatever the slope of one scale on the other."""
    scores = np.add.outer(np.arange(6), np.arange(6)) % 5 + 1.0
    view = OrdinalView(VoteView({"Set14": data_set(np.stack([scores, scores], axis=2), ("a", "b"))}))
    found = view.compare("Set14", "a", "b")
    assert abs(found.difference) < 1e-3
    assert not found.differs


def test_only_ties_have_no_worths_and_say_so(tmp_path: Path) -> None:
    places = (np.array([0, 0, 1]), np.array([1, 2, 2]), np.full(3, TIE), 3)
    assert separated(*places)
    with pytest.raises(ValueError, match="ties"):
        davidson(*places)
    path = write_pairs(tmp_path / "pairs.csv")
    text = path.read_text()
    path.write_text(text.replace(",first,0", ",tie,0").replace(",second,0", ",tie,0"))
    worths, _ = paired_tables(read_pairs(path))
    assert any("every vote is a tie" in note for note in worths.footnotes())
    path.write_text(text.replace("img_1", "img_0").replace("img_2", "img_0").replace("img_3", "img_0"))
    lines = dict.fromkeys(path.read_text().splitlines())  # one image, so each pair once
    rows = [line.split(",") for line in lines]
    once = {(row[1], row[4], row[5]): ",".join(row) for row in rows}
    path.write_text("\n".join(once.values()) + "\n")
    worths, _ = paired_tables(read_pairs(path))
    assert any("as independent" in note for note in worths.footnotes())


def test_constant_times_have_no_trend() -> None:
    key = {"dataset": "d", "method": "m", "repeat": 0, "score": 3, "response_ms": 1000}
    rows = [
        key | {"rater": f"r{r}", "image": f"{i}", "block": 1 + (i + r) % 3}
        for r in range(5)
        for i in range(12)
    ]
    assert all(math.isnan(trend.p) for trend in trends(pd.DataFrame(rows)))


def test_a_pilot_of_one_score_prints_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number in range(24):
            rater, image, repeat = number % 3, number // 3 % 4, number // 12
            key = ("s", f"r{rater}", "Set5", f"img_{image}", "bicubic", repeat)
            writer.writerow((*key, 1, number + 1, 3, 1000, 0, 0, 0))
    study = analyse(read_ratings(path), None, seed=0, draws=20)
    assert study.retest is not None
    assert not any("nan" in line for line in study.retest.lines())
    assert "nan" not in to_csv(retest_table(study))
    clear = pd.DataFrame(
        [
            {"rater": f"r{n}", "dataset": "d", "image": "i", "method": "m", "repeat": k, "score": 2 + k}
            for n in range(30)
            for k in (0, 1)
        ]
    )
    found = retest(clear)
    assert found is not None
    assert any("p < 0.001" in line for line in found.lines())


# --- designs that are none -------------------------------------------------------------------------------


def test_the_smallest_design_resolves_something_and_a_smaller_one_is_refused() -> None:
    assert 0.5 < resolvable_difference(2, 2, Spread()) < 1000
    assert difference_variance(2, 2, Spread(image_method=0, rater_method=0))[1] == 1  # as of votes at hand
    for images, raters in ((1, 26), (5, 1)):
        with pytest.raises(UserError, match="two of each"):
            resolvable_difference(images, raters, Spread())


# --- claims and verdicts ---------------------------------------------------------------------------------


def test_the_papers_test_of_a_claim_looks_at_the_claims_methods_only() -> None:
    claim = BY_KEY["pairs"]
    places = {method: place for place, method in enumerate(claim.methods)}
    means = {method: 1.2 + 0.45 * place for method, place in places.items()}
    means["SelfExSR"] = means["SRCNN"]
    x = votes(stream(7, "claims"), means, 20, 10)
    for more in ((), ("EDSR",)):  # whose images are those of SRCNN
        rated = np.concatenate([x, x[:, :, [places["SRCNN"]] * len(more)]], axis=2)
        data = data_set(rated, (*claim.methods, *more), "BSD100")
        found = DatasetResult(data, None, dict.fromkeys(data.methods), pair_tests(data, None), {})
        study = Study(None, {"BSD100": found}, [], [], [], None, (), {})
        assert _paper_mode(claim, study)


def test_simulated_raters_of_a_pilot_are_told_in_the_verdict(tmp_path: Path) -> None:
    rows = [
        ("s", f"r{r}", "BSD100", f"i{i}", "bicubic", k, 1, 1, 3 + (i + r) % 2, 900, 0, 0, 1)
        for r in range(6) for i in range(10) for k in (0, 1)
    ]  # fmt: skip
    path = tmp_path / "ratings.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    pilot = analyse(read_ratings(path), None, seed=0, draws=20)
    results = results_with(tmp_path, metrics_lines({("Set5", "bicubic"): (28.43, 0.8211)}, {"Set5": 5}))
    metrics = read_metrics(results)
    claim = retested(BY_KEY["pilot"], metrics, None, pilot)
    assert claim.decision is Decision.HOLDS
    found = verdict(Judge(metrics, NoOpinions(), results), [claim])
    assert "synthetic raters and says nothing" in found.claims


def test_a_damaged_plan_is_refused_by_name(tmp_path: Path) -> None:
    path = write_study(
        tmp_path / "ratings.csv", stream(8, "plan"), {("Set5", "a"): 3.0, ("Set5", "b"): 3.0}, 3
    )
    ratings = read_ratings(path)
    for file in (
        {"preregistration": {"frozen": 3}},
        {"preregistration": 3},
        {"preregistration": {"frozen": {"raters": "many"}}},
        {"preregistration": {"frozen": {"raters": 3}}, "datasets": [{"name": "Set5", "count": "five"}]},
        {"preregistration": {"frozen": {"claims": [3]}}},
    ):
        broken = Ratings(ratings.frame, "s", "export/ratings.csv", "", (), (), False, study_file=file)
        study = Study(broken, {}, [], [], [], None, (), {})
        with pytest.raises(UserError, match="damaged"):
            compared_plan(study)


# --- networks --------------------------------------------------------------------------------------------


def test_seeds_are_measured_on_finished_runs_of_the_papers_networks_only() -> None:
    def run(variant: str, seed: int, step: int, psnr: float) -> TrainingRun:
        return TrainingRun(f"{variant}-{seed}", variant, 600, ((step, psnr),), {}, (), seed, variant)

    assumed = seed_spreads(())
    unfinished = [run("SRResNet-MSE", 0, 600, 25.0), run("SRResNet-MSE", 1, 50, 21.0)]
    assert seed_spreads(unfinished) == assumed
    others = [run("ESRGAN", 0, 600, 24.0), run("ESRGAN", 1, 600, 23.0)]
    assert seed_spreads(others) == assumed
    finished = [run("DRCN", 0, 600, 25.0), run("DRCN", 1, 600, 25.2)]
    assert seed_spreads(finished)["", "psnr_db"].deviation == pytest.approx(0.2 / math.sqrt(2))


def test_a_runs_settings_are_read_from_their_parts(tmp_path: Path) -> None:
    def write(name: str, method: str, blocks: int) -> None:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        config = {
            "variant": name,
            "method": method,
            "network": {"residual_blocks": blocks, "long_skip": True},
            "schedule": {"updates": 700},
        }
        (folder / "config.json").write_text(json.dumps(config))

    write("a-shallow", "srgan", 4)
    write("b-whole", "srgan", 16)
    write("c-SROBB", "srobb", 8)
    found = read_runs(Results(tmp_path))
    assert [run.updates for run in found] == [700] * 3
    assert [run.ablated for run in found] == [True, False, False]


# --- files -----------------------------------------------------------------------------------------------


def test_no_cell_of_a_csv_starts_a_formula() -> None:
    grid = Grid("=cmd", (Column("x", "x"),), ((Cell("a", "+b", ("@c",)),),), ("-d",))
    line = to_csv(Table("t", "t", (grid,))).splitlines()[1]
    assert line == "'=cmd,'+b,'-d | @c"


def test_raters_are_watched_by_what_the_studys_file_says(tmp_path: Path) -> None:
    means = {("Set14", "SRCNN"): 2.0, ("Set14", "HR"): 4.0}
    path = write_study(tmp_path / "ratings.csv", stream(0, "watched"), means, 3)
    text = '[quality]\nfast_ms = 3001\n[calibration]\nlow = "SRCNN"\n'
    (tmp_path / "study.toml").write_text(text)
    study = analyse(read_ratings(path), None, seed=0, draws=50)
    assert [row.fast_share for row in study.raters] == [1.0, 1.0, 1.0]  # none takes longer than 3 s
    assert all(1 < row.low_mean < 3 for row in study.raters)
    headings = [column.heading for column in rater_table(study).grids[0].columns]
    assert {"< 3001 ms", "SRCNN", "HR"} <= set(headings)
    (tmp_path / "study.toml").write_text('[quality]\nfast_ms = "soon"\n')
    with pytest.raises(UserError, match="damaged"):
        read_ratings(path)


def test_raters_whose_votes_deviate_were_not_excluded_by_anybody(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "pairs.csv")
    lines = path.read_text().splitlines()
    lines = [line + "zoom" if ",r4," in line else line for line in lines]
    path.write_text("\n".join(lines) + "\n")
    (tmp_path / "study.toml").write_text('[quality]\nleave_out = ["zoom"]\n')
    found = read_pairs(path)
    assert found.raters == ("r0", "r1", "r2", "r3")
    assert found.notes[0] == "1 raters excluded by the study's leader (r5)"
    assert "12 votes with display deviations" in found.notes[1]
