"""The verdict counts each of the paper's figures once, ours only, and never what simulated raters said."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from analysis_synthetic import paper_means, write_study
from test_analysis_tables import metrics_lines, results_with

from analysis.io.metrics import read_metrics
from analysis.io.ratings import read_ratings
from analysis.io.training_runs import TrainingRun
from analysis.judge.claims import CLAIMS, Decision, Result, _one_below, decide, retested_claims
from analysis.judge.seeds import seed_spreads, told
from analysis.judge.values import Judge, Outcome
from analysis.judge.verdict import Verdict, verdict
from analysis.stats.claims import BY_KEY
from analysis.stats.comparison import Comparison
from analysis.stats.design import needed, verdict_power
from analysis.stats.equivalence import rater_means
from analysis.study.opinions import NoOpinions
from analysis.study.results import analyse
from repro.core.paths import Results
from repro.core.streams import stream
from repro.papers.srgan import IMAGES_PER_DATASET, TABLE1, TABLE2

BOTH = {**TABLE2, **TABLE1}


def verdict_on(results: Results, claims: list[Result] | None = None) -> Verdict:
    return verdict(Judge(read_metrics(results), NoOpinions(), results), claims or [])


def test_every_printed_value_counts_once_in_one_class(tmp_path: Path) -> None:
    scores = {key: (cell.psnr_db, cell.ssim) for key, cell in BOTH.items()}
    found = verdict_on(results_with(tmp_path, metrics_lines(scores, IMAGES_PER_DATASET)))
    assert [tally.reproduced for tally in found.scores] == [18, 24, 24]
    assert found.headline.startswith("24 of 24 PSNR and SSIM values of the networks trained here")
    assert found.mos is None


def test_imported_images_stand_in_where_ours_are_missing_and_nowhere_else(tmp_path: Path) -> None:
    ours = {("Set5", "bicubic"): (28.43, 0.8211), ("Set5", "SRResNet-MSE"): (31.0, 0.88)}
    theirs = {
        ("Set5", "SRGAN-VGG54 (authors)"): (29.40, 0.8472),
        ("Set5", "SRResNet-MSE (authors)"): (32.05, 0.9019),
    }
    found = verdict_on(results_with(tmp_path, metrics_lines({**ours, **theirs}, {"Set5": 5})))
    assert sum(tally.judged + tally.open for tally in found.scores) == 66
    by_group = {tally.group.split(" (")[0]: tally for tally in found.scores}
    assert by_group["Re-scored images"].reproduced == 2
    trained = by_group["Networks of the paper trained here"]
    assert (trained.reproduced, trained.failed, trained.open) == (0, 2, 20)
    assert found.headline.startswith("0 of 2 ")
    assert "published images of 2 values that ours stand for above reproduce 2" in found.second


def test_without_the_papers_data_sets_nothing_is_claimed(tmp_path: Path) -> None:
    found = verdict_on(
        results_with(tmp_path, metrics_lines({("sample", "bicubic"): (27.0, 0.8)}, {"sample": 2}))
    )
    assert "Nothing here can be compared" in found.headline


class Simulated(NoOpinions):
    synthetic = True


def test_claims_are_counted_by_decision(tmp_path: Path) -> None:
    results = results_with(tmp_path, metrics_lines({("sample", "bicubic"): (27.0, 0.8)}, {"sample": 2}))
    decisions = [Decision.HOLDS, Decision.UNDECIDED, Decision.UNDECIDED, Decision.NOT_JUDGED]
    claims = [Result(CLAIMS[0], decision, "–", "") for decision in decisions]
    found = verdict(Judge(read_metrics(results), Simulated(), results), claims)
    assert "4 claims, 1 holds, 2 are undecided, 1 is not judged" in found.claims
    assert "synthetic raters and say nothing" in found.claims


def test_the_claim_on_scores_needs_no_votes_but_every_method(tmp_path: Path) -> None:
    scores = {key: (cell.psnr_db, cell.ssim) for key, cell in TABLE2.items()}

    def first(changed: dict[tuple[str, str], tuple[float, float]]) -> Result:
        metrics = read_metrics(results_with(tmp_path, metrics_lines(changed, IMAGES_PER_DATASET)))
        found, *others = retested_claims(metrics, None, None)
        assert {result.decision for result in others} == {Decision.NOT_JUDGED}
        return found

    assert first(scores).decision == Decision.HOLDS
    assert "6 of 6" in first(scores).sentence
    worse = first({**scores, ("Set5", "DRCN"): (40.0, 0.5)})
    assert worse.decision == Decision.FAILS
    assert "on Set5 DRCN has the higher PSNR" in worse.sentence
    less = first({key: value for key, value in scores.items() if key != ("Set5", "ESPCN")})
    assert less.decision == Decision.NOT_JUDGED
    assert "ESPCN on Set5" in less.sentence


class Compared:
    """A view in which SRGAN-VGG54 is 0.5 MOS better than every other, but for one on BSD100."""

    def __init__(self, p: float, difference: float = -0.1) -> None:
        self.odd = Comparison(difference, difference - 0.1, difference + 0.1, p, 0.05, 20.0)

    def methods(self, dataset: str) -> set[str]:
        return {*BY_KEY["srgan"].methods}

    def unable(self, dataset: str) -> str:
        return ""

    def compare(self, dataset: str, first: str, second: str) -> Comparison:
        if (dataset, second) == ("BSD100", "DRCN"):
            return self.odd
        return Comparison(0.5, 0.4, 0.6, 1e-9, 0.05, 20.0)

    def power(self, dataset: str, difference: float) -> float | None:
        return None


@pytest.mark.parametrize(
    ("p", "decision"), [(0.2, Decision.UNDECIDED), (0.03, Decision.UNDECIDED), (0.001, Decision.FAILS)]
)
def test_one_of_many_comparisons_refutes_at_its_share_of_the_level(p: float, decision: Decision) -> None:
    """21 comparisons at 5 % each would refute a true claim in far more than 5 % of studies."""
    assert decide(BY_KEY["srgan"], Compared(p))[0] is decision
    assert decide(BY_KEY["srgan"], Compared(p, 0.1))[0] is not Decision.FAILS


def test_bounds_widen_with_the_number_of_tests() -> None:
    found = Comparison(0.3, 0.3 - 0.05 * 1.7247, 0.3 + 0.05 * 1.7247, 1e-4, 0.05, 20.0)
    assert found.beyond(0.2)
    assert not found.beyond(0.2, tests=36)
    assert found.beyond(0.1, tests=36)
    assert not Comparison(math.nan, -math.inf, math.inf, 1.0, math.inf, 1.0).beyond(0.0)


def test_one_of_four_leads_is_excluded_at_its_share_of_the_level() -> None:
    """The best of four bounds at 5 % each would exclude a true lead in more than 5 % of studies."""

    def leads(*differences: float) -> list[Comparison]:
        return [Comparison(d, d - 0.09, d + 0.09, 1.0, 0.05, 20.0) for d in differences]

    assert not _one_below(0.25, leads(0.15, 0.3, 0.3, 0.3))  # 0.236 at 5 %, 0.271 at a fourth of it
    assert _one_below(0.25, leads(0.1, 0.3, 0.3, 0.3))
    assert _one_below(0.25, leads(0.15, 0.15, 0.15, 0.15))


def test_a_shortened_training_stands_for_nobody(tmp_path: Path) -> None:
    """The authors' images do; without them there is nothing to judge the claim on scores by."""
    scores = {key: (cell.psnr_db, cell.ssim) for key, cell in TABLE2.items()}
    scores |= {(dataset, "SRResNet-MSE"): (20.0, 0.5) for dataset in IMAGES_PER_DATASET}
    notes = {f"{dataset}/SRResNet-MSE": ["shortened schedule: 60 updates"] for dataset in IMAGES_PER_DATASET}
    (tmp_path / "metrics.manifest.json").write_text(json.dumps({"notes_by_method": notes}))

    def decision() -> Decision:
        metrics = read_metrics(results_with(tmp_path, metrics_lines(scores, IMAGES_PER_DATASET)))
        return retested_claims(metrics, None, None)[0].decision

    assert decision() == Decision.NOT_JUDGED
    for dataset in IMAGES_PER_DATASET:
        cell = TABLE2[dataset, "SRResNet-MSE"]
        scores[dataset, "SRResNet-MSE (authors)"] = (cell.psnr_db, cell.ssim)
    assert decision() == Decision.HOLDS


def study_of(tmp_path: Path, raters: int, bump: float) -> Judge:
    """A study around the paper's means in which each vote below 5 is raised by one with some probability."""
    path = write_study(tmp_path / "ratings.csv", stream(0, "verdict", str(raters)), paper_means(), raters)
    frame = pd.read_csv(path)
    raised = stream(1, "raised").random(len(frame)) < bump
    frame["score"] = np.minimum(frame["score"] + raised, 5)
    frame["synthetic"] = 0
    frame.to_csv(path, index=False)
    results = results_with(tmp_path, metrics_lines({("Set5", "bicubic"): (28.43, 0.8211)}, {"Set5": 5}))
    study = analyse(read_ratings(path), None, seed=0, draws=200)
    return Judge(read_metrics(results), study, results)


def test_imprecision_is_not_rewarded(tmp_path: Path) -> None:
    """Three raters, 60 % of whose votes are one too high, reproduce next to nothing; 26 faithful ones do."""
    biased = verdict(study_of(tmp_path, 3, 0.6), []).mos
    faithful = verdict(study_of(tmp_path, 26, 0.0), []).mos
    assert biased is not None
    assert faithful is not None
    assert biased.reproduced <= 3
    assert faithful.reproduced >= 20
    assert faithful.failed == 0
    assert biased.judged == faithful.judged == 33


def test_an_undecided_mean_names_the_raters_that_would_decide(tmp_path: Path) -> None:
    judge = study_of(tmp_path, 3, 0.0)
    records = [record for record in judge.printed() if record.metric == "mos"]
    open_ones = [record for record in records if record.outcome is Outcome.UNDECIDED]
    assert open_ones
    assert all("raters" in record.why for record in open_ones)
    count = needed(0.0, 0.5, 0.25)
    assert count == 36
    assert verdict_power(0.0, 0.25, 0.5 / math.sqrt(count), count - 1) >= 0.8
    assert verdict_power(0.0, 0.25, 0.5 / math.sqrt(count - 1), count - 2) < 0.8
    assert needed(0.25, 0.5, 0.25) is None
    assert needed(0.75, 0.5, 0.25) == 8  # one-sided: beyond the margin by 0.5


def test_raters_who_saw_the_worse_images_are_not_severe() -> None:
    votes = np.array([[1.0, 1.0, 1.0], [5.0, np.nan, 5.0], [3.0, 3.0, 3.0]])
    assert rater_means(votes).tolist() == [3.0, 3.0, 3.0]


def run(variant: str, seed: int, psnr: float, updates: int = 600) -> TrainingRun:
    config = f"{variant} {updates}"
    return TrainingRun(f"{variant}-s{seed}", variant, updates, ((updates, psnr),), {}, (), seed, config)


def test_seeds_are_measured_where_runs_allow_and_assumed_elsewhere(tmp_path: Path) -> None:
    runs = [run("SRResNet-MSE", seed, psnr) for seed, psnr in enumerate((25.0, 25.2, 25.1))]
    runs += [run("SRResNet-MSE", 0, 24.0, updates=60), run("SRGAN-MSE", 0, 23.0)]
    found = seed_spreads(runs)
    assert found["", "psnr_db"].deviation == pytest.approx(0.1)
    assert found["", "psnr_db"].degrees == 2
    assert found["SRGAN", "psnr_db"] == seed_spreads(())["SRGAN", "psnr_db"]
    assert "0.1 dB (measured, 2 degrees of freedom), 0.001 (assumed)" in told(found)
    # 0.02 dB off is within 0.1 dB by the assumed 0.03 dB, and open by the measured 0.1 dB
    results = results_with(tmp_path, metrics_lines({("Set5", "SRResNet-MSE"): (32.03, 0.9019)}, {"Set5": 5}))
    metrics = read_metrics(results)
    for seeds, outcome in ((seed_spreads(()), Outcome.REPRODUCED), (found, Outcome.UNDECIDED)):
        judge = Judge(metrics, NoOpinions(), results, seeds)
        assert judge.record("Set5", "SRResNet-MSE", "psnr_db").outcome is outcome
