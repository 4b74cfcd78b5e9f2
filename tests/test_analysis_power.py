"""Planning: false positives, the design limits of the paper's data sets, the spread found in votes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from analysis_synthetic import write_study
from typer.testing import CliRunner

from analysis.cli import app
from analysis.stats.defaults import Spread
from analysis.stats.design import equivalence_power, least, needed, power_of, replication_raters
from analysis.stats.intervals import two_way_p
from analysis.stats.power import latent_quality, plan, simulated_votes, spread_of
from analysis.stats.votes import DatasetRatings
from repro.core.errors import UserError
from repro.core.streams import stream


def test_simulated_votes_have_the_means_asked_for() -> None:
    x = simulated_votes(stream(0, "power"), 600, 300, (1.2, 2.5, 4.6), Spread(image=0.1, rater=0.1))
    assert x.mean(axis=(0, 1)) == pytest.approx([1.2, 2.5, 4.6], abs=0.03)
    assert set(np.unique(x)) <= {1.0, 2.0, 3.0, 4.0, 5.0}
    assert latent_quality(3.0, 0.6) == pytest.approx(3.0, abs=1e-6)


def test_set5_cannot_be_decided_and_set14_resolves_about_a_quarter() -> None:
    set5 = plan("Set5", images=5, raters=26, methods=12, simulations=30, differences=(0.0, 1.0))
    assert set5.resolved(corrected=False) is None
    assert "cannot decide anything" in set5.sentence
    set14 = plan("Set14", images=14, raters=26, methods=12, simulations=150, differences=(0.0, 0.1, 0.3))
    by_difference = {power.difference: power for power in set14.powers}
    assert by_difference[0.0].robust <= 0.08  # of 150: twelve
    assert by_difference[0.0].paper > 0.08
    assert by_difference[0.1].robust < 0.6
    assert set14.resolved(corrected=False) == 0.3


def test_power_grows_with_images_raters_and_difference() -> None:
    def robust(images: int, raters: int, difference: float) -> float:
        found = plan("x", images=images, raters=raters, methods=2, simulations=80, differences=(difference,))
        return found.powers[0].robust

    assert robust(14, 10, 0.2) < robust(60, 26, 0.2)
    assert robust(30, 20, 0.05) < robust(30, 20, 0.3)


def test_the_same_seed_gives_the_same_powers() -> None:
    one = plan("x", images=10, raters=8, methods=3, simulations=20, differences=(0.3,), seed=4)
    assert one == plan("x", images=10, raters=8, methods=3, simulations=20, differences=(0.3,), seed=4)


def test_the_spread_of_votes_is_found_again() -> None:
    truth = Spread(image=0.5, rater=0.4, image_method=0.3, rater_method=0.2, noise=0.5)
    rng = stream(2, "spread")
    x = np.full((80, 60, 6), 3.0)
    x = x + rng.normal(0, truth.image, (80, 1, 1)) + rng.normal(0, truth.rater, (1, 60, 1))
    x = x + rng.normal(0, truth.image_method, (80, 1, 6)) + rng.normal(0, truth.rater_method, (1, 60, 6))
    x = x + rng.normal(0, truth.noise, x.shape)
    data = DatasetRatings("d", tuple(map(str, range(80))), tuple(map(str, range(60))), tuple("abcdef"), x)
    found = spread_of(data)
    assert found.image == pytest.approx(truth.image, rel=0.2)
    assert found.rater == pytest.approx(truth.rater, rel=0.25)
    assert found.image_method == pytest.approx(truth.image_method, rel=0.1)
    assert found.rater_method == pytest.approx(truth.rater_method, rel=0.15)
    assert found.noise == pytest.approx(truth.noise, rel=0.05)


@pytest.mark.parametrize(
    "options",
    [["--raters", "1"], ["--images", "1"], ["--mean", "5"], ["--noise", "-1"], ["--simulations", "1"]],
)
def test_impossible_designs_are_refused(options: list[str]) -> None:
    run = CliRunner().invoke(app, ["power", *options])
    assert isinstance(run.exception, UserError)


def test_the_command_ends_with_a_sentence() -> None:
    run = CliRunner().invoke(
        app, ["power", "--images", "8", "--methods", "3", "--raters", "10", "--simulations", "10"]
    )
    assert run.exit_code == 0, run.output
    assert "planned study (8 images, 10 raters)" in run.output.strip().splitlines()[-1]


def test_the_solver_and_the_simulation_agree() -> None:
    """Raters that the formula finds enough for 80 % are enough in simulated studies; half of them are not."""
    spread = Spread(image=0.2, rater=0.2, image_method=0.3, rater_method=0.2, noise=0.7)
    raters = least(lambda n: power_of(0.3, 40, n, spread) >= 0.8)
    assert raters is not None

    def found(raters: int) -> float:
        p = [
            two_way_p(
                np.diff(simulated_votes(stream(5, "solver", raters, k), 40, raters, (2.85, 3.15), spread))[
                    ..., 0
                ]
            )
            for k in range(150)
        ]
        return float(np.mean(np.array(p) < 0.05))

    assert found(raters) == pytest.approx(0.8, abs=0.1)
    assert found(max(2, raters // 2)) < 0.75


def test_a_margin_asks_more_of_equivalence_than_of_a_difference() -> None:
    spread = Spread()
    differ = least(lambda n: power_of(0.25, 14, n, spread) >= 0.8)
    same = least(lambda n: equivalence_power(0.0, 0.25, 14, n, spread) >= 0.8)
    assert differ is not None
    assert same is not None
    assert 2 < differ < same
    replicated = replication_raters(0.25, 14, spread)
    assert replicated == needed(0.0, np.sqrt(0.35**2 + 0.1**2 + 0.6**2 / 14), 0.25)


def test_the_solver_reads_a_pilot(tmp_path: Path) -> None:
    path = write_study(
        tmp_path / "ratings.csv", stream(3, "pilot"), {("Set14", "a"): 2.0, ("Set14", "b"): 3.0}, raters=8,
        images_per_dataset={"Set14": 8},
    )  # fmt: skip
    run = CliRunner().invoke(
        app, ["power", "--from-ratings", str(path), "--simulations", "0", "--margin", "0.3"]
    )
    assert run.exit_code == 0, run.output
    assert "Raters for 0.3 MOS with power 80%" in run.output
    assert "SYNTHETIC" in run.output
    run = CliRunner().invoke(app, ["power", "--from-ratings", str(path), "--noise", "0.9"])
    assert isinstance(run.exception, UserError)
