"""What raters are told before they agree: numbers from the design, and who is responsible."""

from __future__ import annotations

import math
import re

from mos_app.study.definition import StudyConfig
from repro.core.errors import UserError

REQUIRED = ("ratings", "minutes", "controller", "contact", "retention")
"""Placeholders that every consent text has to hold; ``{blocks}`` may stand there too."""


def minutes_per_rater(config: StudyConfig, items: int) -> tuple[float, float]:
    """Minutes of rating (practice included) and of enforced breaks for one rater."""
    practice = config.examples + config.calibration.check_items
    rating = (items + practice) * config.seconds_per_rating / 60
    breaks = int(rating // config.breaks.after_minutes) * config.breaks.minutes
    return rating, breaks


def consent_text(config: StudyConfig, items: int, language: str) -> str:
    """The consent text of a language with this study's facts in it.

    Args:
        config: the study.
        items: ratings that one rater gives.
        language: one of the study's.
    """
    consent = config.consent
    facts = {
        "ratings": str(items),
        "minutes": str(math.ceil(sum(minutes_per_rater(config, items)))),
        "blocks": str(config.order.blocks),
        "controller": consent.controller,
        "contact": consent.contact,
        "retention": consent.retention.get(language, ""),
    }
    # only known placeholders: a text may hold other braces
    return re.sub(r"\{(\w+)\}", lambda found: facts.get(found[1], found[0]), consent.text[language])


def check_consent(config: StudyConfig) -> None:
    """Raises UserError unless every consent text states the facts that raters have a right to know."""
    consent = config.consent
    wrong = [f"consent.{name} is empty" for name in ("controller", "contact") if not getattr(consent, name)]
    for language in config.languages:
        if not consent.retention.get(language):
            wrong.append(f"consent.retention.{language} is missing")
        lacking = [name for name in REQUIRED if f"{{{name}}}" not in consent.text[language]]
        if lacking:
            named = ", ".join(f"{{{name}}}" for name in lacking)
            wrong.append(f"consent.text.{language} does not say {named}")
    if wrong:
        raise UserError(
            "; ".join(wrong),
            "a consent text with how many ratings and minutes, who is responsible, whom to ask, how long "
            "data are kept",
            "python -m mos_app init --template paper --show > mine.toml, fill in [consent], "
            "then init --config mine.toml",
        )
