"""Votes on a continuous scale: analysed as positions, and as fifths only where scores are needed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mos_helpers.studies import small_toml

from analysis.io.ratings import COLUMNS, Ratings, read_ratings
from analysis.stats.ordinal import ordinal_methods
from analysis.stats.votes import CONTINUOUS, categories, on_scale
from analysis.study.results import Study, analyse
from analysis.study.views import whole_scores
from analysis.tables.opinions import opinions
from mos_app.files.archive import export_study
from mos_app.files.simulate import SimulationParameters, fill_study, make_synthetic_study
from mos_app.files.workspace import open_workspace
from mos_app.study.scale import category
from mos_app.study.studyfile import parse_study
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.core.streams import stream

IMAGES, RATERS = 12, 10
AT = {"bicubic": 46.0, "SRGAN-VGG54": 51.0}
"""Mean positions: both in the third fifth, 40 to 59, from which no vote strays."""


def write_votes(path: Path, *, slider: bool = True) -> Path:
    """Two methods a twentieth of the scale apart, within one fifth; every image is shown twice."""
    rng = stream(4, "slider study")
    image, rater = rng.normal(0, 0.7, IMAGES), rng.normal(0, 0.7, RATERS)
    rows = []
    for r in range(RATERS):
        for i in range(IMAGES):
            for method, mean in AT.items():
                for repeat in (0, 1):
                    at = round(mean + image[i] + rater[r] + rng.normal(0, 1.0))
                    shown = ("s", f"r{r:02d}", "Set14", f"i{i:02d}", method, repeat, 1, len(rows))
                    rows.append((*shown, category(at), 900, 0, 0, 1, at))
    frame = pd.DataFrame(rows, columns=[*COLUMNS, "slider"])
    assert set(frame["score"]) == {3}
    (frame if slider else frame.drop(columns="slider")).to_csv(path, index=False)
    return path


def analysed(votes: Ratings) -> Study:
    return analyse(votes, None, seed=0, draws=300)


def test_an_effect_within_one_fifth_is_seen(tmp_path: Path) -> None:
    as_fifths = analysed(read_ratings(write_votes(tmp_path / "fifths.csv", slider=False)))
    pair = as_fifths.datasets["Set14"].tests.pairs[0]
    assert (pair.difference.mean, pair.votes.p, pair.p_robust) == (0.0, 1.0, 1.0)

    votes = read_ratings(write_votes(tmp_path / "ratings.csv"))
    study = analysed(votes)
    result = study.datasets["Set14"]
    raw = pd.read_csv(tmp_path / "ratings.csv").query("repeat == 0").groupby("method")["slider"].mean()
    for method in AT:
        mos = result.methods[method].mos
        assert mos.mean == pytest.approx(0.5 + raw[method] / 20, abs=1e-12)
        assert mos.low is not None
        assert mos.high is not None
        assert mos.low < mos.mean < mos.high
        # the words' numbers are the middles of their fifths
        assert abs(mos.mean - (0.5 + AT[method] / 20)) < 0.05
    (pair,) = result.tests.pairs
    assert {pair.first, pair.second} == set(AT)
    assert pair.favours("SRGAN-VGG54", robust=True)
    assert abs(pair.difference.mean) == pytest.approx(0.25, abs=0.03)
    assert pair.votes.zeros < 20  # whole steps of the slider still tie
    assert study.view.compare("Set14", "SRGAN-VGG54", "bicubic").differs
    assert result.agreement["all"].icc_single.value > 0.5
    # what needs scores has the fifths: one score only, so nothing to say
    assert math.isnan(result.agreement["all"].alpha.value)
    assert ordinal_methods(whole_scores(votes.by_dataset["Set14"])) is None


def test_a_pilot_with_a_slider_repeats_itself_within_a_step(tmp_path: Path) -> None:
    found = analysed(read_ratings(write_votes(tmp_path / "ratings.csv"))).retest
    assert found is not None
    assert (found.exact, found.within_one) == (1.0, 1.0)
    assert found.icc == pytest.approx(0.85, abs=0.1)
    assert found.wilcoxon.n > 100
    assert found.go


def test_tables_and_figure_tell_the_scale(tmp_path: Path) -> None:
    study = analysed(read_ratings(write_votes(tmp_path / "ratings.csv")))
    table = opinions(study)
    assert any("0.5 + position / 20" in note for grid in table.grids for note in grid.notes)
    assert study.ratings.by_dataset["Set14"].bounds == CONTINUOUS


def test_positions_and_scores_must_agree(tmp_path: Path) -> None:
    path = write_votes(tmp_path / "ratings.csv")
    lines = path.read_text().splitlines()
    for position in ("60", "-1", "101", ""):
        path.write_text("\n".join([*lines[:5], lines[5].rsplit(",", 1)[0] + f",{position}", *lines[6:]]))
        with pytest.raises(UserError, match="line 6: slider"):
            read_ratings(path)


def test_every_position_is_in_its_fifth() -> None:
    positions = np.arange(101.0)
    assert categories(on_scale(positions)).tolist() == [category(int(at)) for at in positions]
    assert on_scale(np.array([0.0, 10, 30, 50, 70, 90, 100])) == pytest.approx([0.5, 1, 2, 3, 4, 5, 5.5])


def test_app_and_analysis_say_the_same_of_a_slider_study(tmp_path: Path) -> None:
    """``mos.csv`` of the export holds the analysis's MOS; fifths alone would give others."""
    toml = small_toml(raters=6, images=6, more='\n[scale]\nmethod = "slider"\n')
    make_synthetic_study(Results(tmp_path), parse_study(toml, "x"), toml, name="x-synthetic")
    workspace = open_workspace(Results(tmp_path), "x-synthetic")
    fill_study(workspace, 6, SimulationParameters(), seed=0)
    export_study(workspace)
    export = workspace.folder.export
    workspace.close()
    by_app = pd.read_csv(export / "mos.csv").query("image.isna()").set_index("method")["mos"]
    found = analysed(read_ratings(export / "ratings.csv")).datasets["Set5"].methods
    assert {name: method.mos.mean for name, method in found.items()} == pytest.approx(
        by_app.to_dict(), abs=1e-6
    )
    scores = pd.read_csv(export / "ratings.csv").query("repeat == 0").groupby("method")["score"].mean()
    assert (by_app - scores).abs().max() > 0.02
