"""The app and the analysis say the same of one pilot, and plan by the same formula."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis.io.ratings import read_ratings
from analysis.judge.claims import _repeatable
from analysis.judge.plan import compared_plan
from analysis.stats.claims import BY_KEY
from analysis.stats.defaults import Spread
from analysis.stats.design import power_of, resolvable_difference
from analysis.stats.power import plan
from analysis.stats.retest import Retest
from analysis.study.results import analyse
from mos_app.cli.main import app
from mos_app.study.parts import PilotPart
from mos_app.study.pilot import pilot_report

pytestmark = pytest.mark.xdist_group("analysis_pilot")  # its fixtures are made once


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of ``python -m mos_app simulate --template pilot``, seed 0."""
    results = tmp_path_factory.mktemp("pilot")
    spreads = ["--bias", "0.3", "--image-method", "0.25", "--rater-method", "0.2"]
    run = CliRunner().invoke(
        app, ["simulate", "--template", "pilot", "--seed", "0", *spreads, "--results", str(results)]
    )
    assert run.exit_code == 0, run.output
    return results / "studies" / "pilot-synthetic" / "export"


def analysed(path: Path) -> Retest:
    found = analyse(read_ratings(path), None, seed=0, draws=200).retest
    assert found is not None
    return found


def test_app_and_analysis_agree_on_the_simulated_pilot(export: Path) -> None:
    """They gave opposite answers on these votes: the shift of raters' means is significant, and small."""
    ratings = read_ratings(export / "ratings.csv")
    by_app = pilot_report(ratings.frame, PilotPart(dataset="BSD100", method=ratings.frame["method"].iloc[0]))
    by_analysis = analysed(export / "ratings.csv")
    assert by_app == by_analysis
    assert by_app.lines()[-1] == by_analysis.sentence
    assert by_analysis.go
    assert by_analysis.equivalent


def test_the_studys_own_margin_counts_in_the_analysis_too(export: Path, tmp_path: Path) -> None:
    text = (export / "study.toml").read_text()
    assert "equivalence_margin = 0.25" in text
    (tmp_path / "study.toml").write_text(
        text.replace("equivalence_margin = 0.25", "equivalence_margin = 0.001")
    )
    (tmp_path / "ratings.csv").write_bytes((export / "ratings.csv").read_bytes())
    found = analysed(tmp_path / "ratings.csv")
    assert found.criteria.margin == 0.001
    assert not found.go
    assert "±0.001 is not shown" in found.sentence
    pilot = analyse(read_ratings(tmp_path / "ratings.csv"), None, seed=0, draws=200)
    assert _repeatable(BY_KEY["pilot"], pilot).claim.plan.endswith("margin 0.001 MOS")
    assert compared_plan(pilot)[-1].done == "judged otherwise: margin"  # frozen with 0.25


def test_the_formula_agrees_with_simulated_studies() -> None:
    spread = Spread()
    difference = resolvable_difference(30, 20, spread)
    assert power_of(difference, 30, 20, spread) == pytest.approx(0.8, abs=1e-6)
    planned = plan("x", images=30, raters=20, methods=2, differences=(difference,), simulations=300)
    # the robust test asks more than Student's t alone, and votes are rounded
    assert planned.powers[0].robust == pytest.approx(0.8, abs=0.1)
