"""The verdict counts each of the paper's figures once, ours only, and never what simulated raters said."""

from __future__ import annotations

from pathlib import Path

from test_analysis_tables import metrics_lines, results_with

from analysis.io.metrics import read_metrics
from analysis.judge.claims import FAILS, HOLDS, NO_DATA, Claim, retested_claims
from analysis.judge.values import Judge
from analysis.judge.verdict import Verdict, verdict
from analysis.study.opinions import NoOpinions
from repro.core.paths import Results
from repro.papers.srgan import IMAGES_PER_DATASET, TABLE1, TABLE2

BOTH = {**TABLE2, **TABLE1}


def verdict_on(results: Results, claims: list[Claim] | None = None) -> Verdict:
    return verdict(Judge(read_metrics(results), NoOpinions(), results), claims or [])


def test_every_figure_counts_once(tmp_path: Path) -> None:
    scores = {key: (cell.psnr_db, cell.ssim) for key, cell in BOTH.items()}
    found = verdict_on(results_with(tmp_path, metrics_lines(scores, IMAGES_PER_DATASET)))
    assert sum(tally.reproduced for tally in found.scores) == 2 * len(BOTH)
    assert found.headline.startswith(f"{2 * len(BOTH)} of {2 * len(BOTH)} PSNR and SSIM figures")
    assert found.mos is None


def test_imported_images_stay_out_of_the_headline(tmp_path: Path) -> None:
    ours = {("Set5", "bicubic"): (28.43, 0.8211), ("Set5", "SRGAN-VGG54"): (25.0, 0.7)}
    theirs = {("Set5", "SRGAN-VGG54 (authors)"): (29.40, 0.8472)}
    found = verdict_on(results_with(tmp_path, metrics_lines({**ours, **theirs}, {"Set5": 5})))
    by_group = {tally.group: tally for tally in found.scores}
    assert (by_group["SRGAN"].reproduced, by_group["SRGAN"].failed) == (0, 2)
    assert by_group["Imported images of others"].reproduced == 2
    assert found.headline.startswith("2 of 4 PSNR and SSIM figures")
    assert "could not be judged" in found.headline


def test_without_the_papers_data_sets_nothing_is_claimed(tmp_path: Path) -> None:
    found = verdict_on(
        results_with(tmp_path, metrics_lines({("sample", "bicubic"): (27.0, 0.8)}, {"sample": 2}))
    )
    assert "Nothing here can be compared" in found.headline


class Simulated(NoOpinions):
    synthetic = True


def test_claims_are_counted_by_mode(tmp_path: Path) -> None:
    claims = [Claim("a", HOLDS, "–", ""), Claim("b", HOLDS, FAILS, ""), Claim("c", NO_DATA, NO_DATA, "")]
    results = results_with(tmp_path, metrics_lines({("sample", "bicubic"): (27.0, 0.8)}, {"sample": 2}))
    found = verdict(Judge(read_metrics(results), Simulated(), results), claims)
    assert "paper mode: 2 hold, 1 without data; robust mode: 1 do not hold, 1 without data" in found.claims
    assert "synthetic raters and say nothing" in found.claims


def test_the_claim_on_scores_needs_no_votes(tmp_path: Path) -> None:
    scores = {key: (cell.psnr_db, cell.ssim) for key, cell in TABLE2.items()}
    metrics = read_metrics(results_with(tmp_path, metrics_lines(scores, IMAGES_PER_DATASET)))
    first, *others = retested_claims(metrics, None, None)
    assert first.paper_mode == HOLDS
    assert "6 of 6" in first.sentence
    assert {claim.paper_mode for claim in others} == {NO_DATA}
    worse = {**scores, ("Set5", "DRCN"): (40.0, 0.5)}
    metrics = read_metrics(results_with(tmp_path, metrics_lines(worse, IMAGES_PER_DATASET)))
    first = retested_claims(metrics, None, None)[0]
    assert first.paper_mode == FAILS
    assert "on Set5 DRCN has the higher PSNR" in first.sentence
