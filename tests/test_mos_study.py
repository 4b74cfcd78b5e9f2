"""Study files: what they may say, and how what they may not say is refused."""

from __future__ import annotations

import pytest
from mos_helpers.studies import small_toml

from mos_app.study.definition import TEMPLATES, parse_study, read_template
from mos_app.study.facts import check_consent, consent_text
from mos_app.study.texts import load_texts
from repro.core.errors import UserError


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_are_valid_and_bilingual(name: str) -> None:
    config, text = read_template(name)
    assert config.name == name
    assert parse_study(text, "again") == config
    assert set(config.consent.text) >= set(config.languages)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name = "small"', 'name = "../x"', "name"),
        ("seed = 5", "seed = -1", "seed"),
        ("seed = 5", 'seed = 5\ncolour = "red"', "colour"),
        ('"bicubic", ', '"bicubic", "bicubic", ', "twice"),
        ('"bicubic", ', '"../../etc", ', "methods"),
        ("count = 6", "count = 0", "count"),
        ('dataset = "BSD300-calibration"', 'dataset = "Set5"', "calibration images must not be rated"),
        ("check_items = 4", "check_items = 9", "check items"),
        ("blocks = 2", "blocks = 0", "blocks"),
        ('de = "Bitte stimmen', 'fr = "Bitte stimmen', "'de'"),
        ("[order]", "[order", "TOML"),
        ("[order]", '[pilot]\ndataset = "Set5"\nmethod = "DRCN"\n\n[order]', "not rated"),
    ],
)
def test_bad_study_files_are_refused_by_name(old: str, new: str, told: str) -> None:
    text = small_toml()
    assert old in text
    with pytest.raises(UserError) as refused:
        parse_study(text.replace(old, new), "mine.toml")
    assert "mine.toml" in refused.value.got
    assert told in refused.value.got


def test_consent_states_this_studys_facts() -> None:
    config = parse_study(small_toml(), "x")
    told = consent_text(config, 24, "en")
    # 24 ratings and 8 practice pictures of 3.5 seconds
    assert told == "Please agree: 24 ratings, 2 minutes, The Test Laboratory, lab@example.org, one year."
    check_consent(config)
    for old, wrong in (
        ("{minutes} minutes", "does not say {minutes}"),
        ('contact = "lab@example.org"', "consent.contact is empty"),
        ('de = "ein Jahr"', "consent.retention.de is missing"),
    ):
        text = small_toml()
        assert old in text
        with pytest.raises(UserError) as refused:
            check_consent(parse_study(text.replace(old, ""), "x"))
        assert wrong in refused.value.got
    # the paper's template is complete but for who is responsible
    paper, _ = read_template("paper")
    with pytest.raises(UserError) as refused:
        check_consent(paper)
    assert refused.value.got == "consent.controller is empty; consent.contact is empty"
    assert "1128 pictures in 6 blocks, about 80 minutes" in consent_text(paper, 1128, "en")


def test_leaving_out_methods() -> None:
    config = parse_study(small_toml(), "x")
    smaller = config.without_methods({("Set5", "bicubic")})
    assert smaller.datasets[0].methods == ["nearest", "SRGAN-VGG54", "HR"]
    with pytest.raises(UserError, match="no method"):
        config.without_methods({("Set5", method) for method in config.datasets[0].methods})


def test_every_language_says_the_same_things() -> None:
    def shape(value: object) -> object:
        if isinstance(value, dict):
            return {key: shape(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return len(value)
        assert isinstance(value, str)
        return sorted(part.partition("}")[0] for part in value.split("{")[1:])

    assert shape(load_texts("en")) == shape(load_texts("de"))
