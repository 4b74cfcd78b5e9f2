"""Study files: what they may say, and how what they may not say is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mos_helpers.studies import small_toml

from mos_app.study.facts import check_consent, consent_text
from mos_app.study.studyfile import TEMPLATES, parse_study, read_template
from mos_app.study.texts import load_texts, study_file_part, study_texts
from repro.core.errors import UserError


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_are_valid_and_bilingual(name: str) -> None:
    config, text = read_template(name)
    assert config.name == name
    assert parse_study(text, "again") == config
    assert set(config.consent.text) >= set(config.languages)


_PAIR = '[scale]\nmethod = "pair"\n'


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
        ("[order]", '[scale]\nmethod = "stars"\n\n[order]', "scale.method"),
        ("[order]", "[scale]\nties = false\n\n[order]", "belong to method"),
        ("[order]", _PAIR + 'pairs = [["HR", "HR"]]\n\n[order]', "two methods"),
        ("[order]", _PAIR + 'pairs = [["HR", "nearest"], ["nearest", "HR"]]\n\n[order]', "named once"),
        ("[order]", _PAIR + 'pairs = [["HR", "stars"]]\n\n[order]', "Set5 has none of the pairs"),
        ("[order]", _PAIR + 'pairs = [["HR", "nearest"], ["HR", "x"]]\n\n[order]', "x is among no"),
        ("[order]", _PAIR + "\n[order]", "4 check items, 2 to draw from"),
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


def test_originals_beside_pictures_need_the_originals() -> None:
    dcr = '[scale]\nmethod = "dcr"\n\n[order]'
    config = parse_study(small_toml().replace("[order]", dcr), "x")
    assert study_texts(config, "en")["scale"]["words"][4] == "not visible"
    assert "side by side" in study_texts(config, "en")["pages"]["instructions"]
    with pytest.raises(UserError, match="beside every picture"):
        config.without_methods({("Set5", "HR")})
    with pytest.raises(UserError, match="beside every picture"):
        parse_study(small_toml().replace("[order]", dcr).replace(', "HR"]', "]"), "x")


def test_leaving_out_methods() -> None:
    config = parse_study(small_toml(), "x")
    smaller = config.without_methods({("Set5", "bicubic")})
    assert smaller.datasets[0].methods == ["nearest", "SRGAN-VGG54", "HR"]
    with pytest.raises(UserError, match="no method"):
        config.without_methods({("Set5", method) for method in config.datasets[0].methods})


def arabic(text: str) -> str:
    """A complete language that does not ship, made from the English one."""
    own = study_file_part("en").replace("texts.en", "texts.ar")
    own = own.replace('direction = "ltr"', 'direction = "rtl"').replace(
        'name = "English"', 'name = "العربية"'
    )
    own = own.replace("How good does this picture look?", "ما مدى جودة هذه الصورة؟")
    for word, other in (
        ("bad", "سيئة"),
        ("poor", "ضعيفة"),
        ("fair", "مقبولة"),
        ("good", "جيدة"),
        ("excellent", "ممتازة"),
    ):
        own = own.replace(f'"{word}"', f'"{other}"')
    text = text.replace('languages = ["en", "de"]', 'languages = ["ar", "en"]')
    text = text.replace('en = "A small study"', 'en = "A small study"\nar = "دراسة صغيرة"')
    text = text.replace('en = "one year"', 'en = "one year"\nar = "سنة"')
    text = text.replace(
        'en = "Please agree',
        'ar = "{ratings} {minutes} {controller} {contact} {retention}"\nen = "Please agree',
    )
    return text + own


def test_a_study_file_may_reword_and_bring_any_language() -> None:
    reworded = parse_study(
        small_toml(
            more='\n[texts.en.scale]\nquestion = "How sharp is it?"\nwords = ["1", "2", "3", "4", "5"]\n'
        ),
        "x",
    )
    texts = study_texts(reworded, "en")
    assert texts["scale"] == {"question": "How sharp is it?", "words": ["1", "2", "3", "4", "5"]}
    shipped = study_texts(parse_study(small_toml(), "x"), "en")
    assert texts["pages"] == shipped["pages"]
    # texts of other methods are not among them
    assert shipped["pages"].items() <= load_texts("en")["pages"].items()
    assert not [
        name for part in ("", "pages", "stage") for name in shipped.get(part, shipped) if "_dcr" in name
    ]
    config = parse_study(arabic(small_toml()), "x")
    own = study_texts(config, "ar")
    assert (own["direction"], own["scale"]["words"][4]) == ("rtl", "ممتازة")
    check_consent(config)
    # a study in the database may be older than a text: English then
    older = arabic(small_toml()).replace('viewing_title = "Viewing check"\n', "")
    with pytest.raises(UserError, match="viewing_title is missing"):
        parse_study(older, "x")
    assert (
        study_texts(parse_study(older, "x", stored=True), "ar")["pages"]["viewing_title"] == "Viewing check"
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda text: text.replace('["en", "de"]', '["en", "fr"]').replace("\nde = ", "\nfr = "),
            "texts.fr.name is missing",
        ),
        (lambda text: text + '\n[texts.en.scale]\nwords = ["a", "b"]\n', "texts.en.scale.words: 5 words"),
        (
            lambda text: text + '\n[texts.en.pages]\nbreak = "{weather}"\n',
            "texts.en.pages.break: unknown {weather}",
        ),
        (lambda text: text + '\n[texts.en.pages]\nbrake = "x"\n', "texts.en.pages.brake is unknown"),
        (lambda text: text + '\n[texts.en.pages]\nbreak = "{after"\n', "texts.en.pages.break: '{' or '}'"),
        (lambda text: text + '\n[texts.en.pages]\nbreak = "after}"\n', "texts.en.pages.break: '{' or '}'"),
        (
            lambda text: text + '\n[texts.en.pages]\nbreak = "{after:5} {minutes!r}"\n',
            "texts.en.pages.break: unknown {after:5}",
        ),
        (lambda text: text + '\n[texts.fr]\nname = "x"\n', "texts.fr: the study has no such language"),
        (lambda text: text + '\n[texts.en]\ndirection = "up"\n', "neither"),
        (lambda text: text.replace('["en", "de"]', '["english"]'), "languages"),
    ],
)
def test_incomplete_texts_are_refused_by_name(change: Callable[[str], str], told: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_study(change(small_toml()), "x")
    assert told in refused.value.got


def test_every_language_says_the_same_things() -> None:
    def shape(value: object) -> object:
        if isinstance(value, dict):
            return {key: shape(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return len(value)
        assert isinstance(value, str)
        return sorted(part.partition("}")[0] for part in value.split("{")[1:])

    assert shape(load_texts("en")) == shape(load_texts("de"))
