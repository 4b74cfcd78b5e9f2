"""A study's plan is frozen by init with a hash, and the analysis tells what deviated from it."""

from __future__ import annotations

import csv
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from analysis_synthetic import write_study

from analysis.io.ratings import read_ratings
from analysis.judge.plan import compared_plan
from analysis.stats.preregistration import digest
from analysis.study.results import Study, analyse
from analysis.tables.plan import plan_table
from mos_app.study.preregistration import frozen
from mos_app.study.studyfile import parse_study, read_template
from repro.core.errors import UserError
from repro.core.streams import stream

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def paper(more: str = "") -> str:
    config, text = read_template("paper")
    del config
    text = text + more
    return frozen(parse_study(text, "test"), text, AT)


def test_the_papers_study_freezes_its_claims() -> None:
    text = paper()
    config = parse_study(text, "test")
    plan = config.preregistration.frozen
    assert plan is not None
    assert [claim.key for claim in plan.claims] == ["set5", "vgg54", "vgg22", "srgan", "pairs"]
    assert plan.claims[0].margin == 0.25
    assert plan.raters == 26
    assert plan.at == "2026-01-02T03:04:05+00:00"
    assert plan.sha256 == digest(tomllib.loads(text))
    changed = text.replace("raters = 26", "raters = 25", 1)
    assert plan.sha256 != digest(tomllib.loads(changed))
    with pytest.raises(UserError, match="frozen"):
        frozen(config, text, AT)


def test_a_study_names_its_own_claims_and_rules() -> None:
    text = paper('\n[preregistration]\nclaims = ["vgg54"]\nexclusion = ["who gives HR less than 3"]\n')
    plan = parse_study(text, "test").preregistration.frozen
    assert plan is not None
    assert [claim.key for claim in plan.claims] == ["vgg54"]
    assert plan.exclusion[0] == "who gives HR less than 3"
    for wrong in ("vgg99", "pilot"):
        with pytest.raises(UserError, match=wrong):
            paper(f'\n[preregistration]\nclaims = ["{wrong}"]\n')
    inline = read_template("paper")[1].replace(
        "[title]", 'preregistration = { claims = ["vgg54"] }\n\n[title]'
    )
    with pytest.raises(UserError, match="a part of its own"):
        frozen(parse_study(inline, "test"), inline, AT)


def test_a_study_that_judges_nothing_stays_as_it_is() -> None:
    config, text = read_template("demo")
    assert frozen(config, text, AT) == text
    pilot, text = read_template("pilot")
    assert 'key = "pilot"' in frozen(pilot, text, AT)


def test_the_pilots_claim_has_its_studys_margin() -> None:
    _, text = read_template("pilot")
    assert text.count("equivalence_margin = 0.25") == 1
    text = text.replace("equivalence_margin = 0.25", "equivalence_margin = 0.4")
    plan = parse_study(frozen(parse_study(text, "test"), text, AT), "test").preregistration.frozen
    assert plan is not None
    assert [(claim.key, claim.margin) for claim in plan.claims] == [("pairs", 0.25), ("pilot", 0.4)]


def study(folder: Path, text: str, raters: int, excluded: int = 0) -> Study:
    config = parse_study(text, "test")
    means = {(part.name, method): 3.0 for part in config.datasets for method in part.methods}
    counts = {part.name: part.count for part in config.datasets}
    path = write_study(folder / "ratings.csv", stream(0, "plan"), means, raters, images_per_dataset=counts)
    rows = list(csv.DictReader(path.open()))
    for row in rows:
        row["excluded"] = str(int(row["rater"] in [f"r{n + 1:02d}" for n in range(excluded)]))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (folder / "study.toml").write_text(text)
    return analyse(read_ratings(path), None, seed=0, draws=50)


def small() -> str:
    """Two variants on three images of Set14, four raters; freezes the claim on VGG22."""
    _, text = read_template("paper")
    head, rest = text.split("[[datasets]]", 1)
    rest = rest[rest.index("# The paper states no criterion") :]
    part = '[[datasets]]\nname = "Set14"\ncount = 3\nmethods = ["SRResNet-MSE", "SRResNet-VGG22"]\n\n'
    text = head.replace("raters = 26", "raters = 4") + part + rest
    return frozen(parse_study(text, "test"), text, AT)


def test_nothing_deviates_where_the_plan_was_kept(tmp_path: Path) -> None:
    found = compared_plan(study(tmp_path, small(), 4))
    assert [line.what for line in found] == ["study file", "raters", "Set14", "exclusion", "claim vgg22"]
    assert not any(line.deviates for line in found)
    assert "signed ranks" in found[-1].planned


def test_every_deviation_is_told(tmp_path: Path) -> None:
    text = (
        small()
        .replace("[quality]\n", "[quality]\nlongest_run = 30\n", 1)
        .replace("longest_run = 20\n", "", 1)
    )
    text = text.replace('family = "1 comparison"', 'family = "2 comparisons"')
    made = study(tmp_path, text, 5, excluded=2)
    by_line = {line.what: line for line in compared_plan(made)}
    assert by_line["study file"].done == "CHANGED since"
    assert by_line["raters"].deviates
    assert "r01, r02" in by_line["raters"].done
    assert by_line["claim vgg22"].done == "judged otherwise: family"
    assert by_line["exclusion"].deviates is None
    table = plan_table(list(by_line.values()), made)
    assert [row[3].text for row in table.grids[0].rows] == ["yes", "yes", "no", "", "yes"]


def test_a_study_without_a_plan_has_no_lines(tmp_path: Path) -> None:
    write_study(tmp_path / "ratings.csv", stream(0, "none"), {("Set5", "a"): 3.0}, 3)
    assert compared_plan(analyse(read_ratings(tmp_path / "ratings.csv"), None, seed=0, draws=50)) == []
