"""The table of error rates: made in pieces, the same as in one, and its rows' truths are what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from analysis.cli import app
from analysis.judge.error_rates import (
    INTERACTIONS,
    MISSING,
    OPEN,
    REFUTED,
    SHOWN,
    Rate,
    rate,
    settings,
    statements,
)
from analysis.stats.defaults import Spread
from analysis.stats.power import expected_votes, votes_on
from analysis.tables.error_rates import error_table, read_rates
from repro.core.errors import UserError
from repro.core.streams import stream


def test_every_statement_has_an_error_and_every_setting_a_row() -> None:
    made = statements()
    assert len(list(settings())) == len(made) * len(INTERACTIONS) * len(MISSING) == len(made) * 8
    assert len({(s.text, s.dataset, s.truth) for s in made}) == len(made)
    for statement in made:
        assert statement.wrong in {SHOWN, REFUTED}
        assert statement.right in {"", SHOWN, REFUTED} - {statement.wrong}


def test_expected_votes_are_what_raters_give_on_average() -> None:
    quality = np.array([[1.0, 3.2], [4.9, 2.0]])
    spread = Spread(rater_method=0.3)
    votes = votes_on(stream(0, "expected"), quality, 20_000, spread)
    assert votes.mean(axis=1) == pytest.approx(expected_votes(quality, spread), abs=0.02)


def test_rates_are_counted_and_bounded() -> None:
    off = next(s for s in statements() if s.truth == "off by 0.5")
    found = rate(off, "none", 0.2, 40, seed=0)
    assert found.share(SHOWN) + found.share(REFUTED) + found.share(OPEN) == pytest.approx(1)
    assert found.share(REFUTED) > 0.6
    assert replace(found, shown=0.9, refuted=0.1 + 1e-16).share(OPEN) == 0
    assert found.share(SHOWN) <= 0.05
    low, high = found.error_bounds
    assert low <= found.share(SHOWN) <= high
    assert rate(off, "none", 0.2, 40, seed=0) == found


def test_the_command_goes_on_where_it_stopped(tmp_path: Path) -> None:
    def errors(*options: str) -> str:
        run = CliRunner().invoke(app, ["errors", "--out", str(tmp_path), "--studies", "10", *options])
        if run.exception is not None and not isinstance(run.exception, SystemExit):
            raise run.exception
        return run.output

    assert "112 of 112 rows are not computed yet" in errors("--minutes", "0")
    assert "1 of 112" in errors("--minutes", "1e-9")
    assert "1 of 111" in errors("--minutes", "1e-9")
    path = tmp_path / "error_rates" / "error_rates.csv"
    rows = read_rates(path)
    assert [row.key for row in rows] == [Rate(*setting, 10, 0, 0).key for setting in list(settings())[:2]]
    assert rows == [rate(*setting, 10, 0) for setting in list(settings())[:2]]
    assert "110 of 112 rows are not computed yet" in error_table(rows).legend
    with pytest.raises(UserError, match="seed"):
        errors("--seed", "1")
    path.write_text(path.read_text().replace("off by 0", "off by 7"))
    with pytest.raises(UserError, match="rows of this version"):
        read_rates(path)
