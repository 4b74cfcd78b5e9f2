"""The rater's page, a thin view of :func:`mos_app.study.progress.decide`; it keeps only what was clicked."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import streamlit as st

from analysis.stats.votes import SLIDER_STEPS
from mos_app.db.credentials import UnknownInviteError
from mos_app.db.journal import now_ms
from mos_app.db.raters import AGE_BANDS, DISPLAYS, VISIONS
from mos_app.db.state import State
from mos_app.stage import BAR_HEIGHT, GREY_STEPS, ORIGINAL_GAP, PAUSED, component
from mos_app.study.display import Ballot, DisplayRecord
from mos_app.study.facts import consent_text
from mos_app.study.progress import Kind, Phase
from mos_app.study.scale import category
from mos_app.study.texts import study_texts
from mos_app.study.viewing import MEASURED, MEASURED_EYES, refused, ring_gap, unsuitable
from mos_app.web.routes import INVITE_COOKIE, PREFIX
from mos_app.web.service import Service, client_address, current_service

_RECENT_MS = 10 * 60_000
"""A rater who comes back sooner than this goes straight on within a stretch."""


def show_rater() -> None:
    """Shows the screen that the rater with the link's invite is on."""
    service = current_service()
    invite = current_invite()
    if not invite:
        _message(service, "welcome", "no_invite")
        return
    try:
        state = service.votes.state(invite)
        language = _language(service, invite)
        st.session_state["language"] = language
        visit = _Visit(service, invite, state, language)
        if visit.texts["direction"] == "rtl":
            block = ".stMainBlockContainer"
            st.html(f"<style>{block}, {block} :is(h2, p) {{ direction: rtl; text-align: right; }}</style>")
        _SCREENS[state.screen.kind](visit)
        component("page")(key="page", data={"language": language})
    except UnknownInviteError:
        if "withdrawn" in st.session_state:
            texts = study_texts(service.study.config, st.session_state["language"])["pages"]
            st.header(texts["withdrawn_title"])
            st.write(texts[f"withdrawn_{st.session_state['withdrawn']}"])
            return
        if not service.by_client.allows(client_address()):
            time.sleep(1)
        _message(service, "invalid_title", "invalid")


def current_invite() -> str:
    """The invite of this browser, from the cookie that the link was exchanged for; else ``""``."""
    return str(st.context.cookies.get(INVITE_COOKIE, ""))


class _Visit:
    """One run of the page for one rater."""

    def __init__(self, service: Service, invite: str, state: State, language: str) -> None:
        self.service = service
        self.invite = invite
        self.state = state
        self.language = language
        self.texts = study_texts(service.study.config, language)

    def say(self, name: str, **values: Any) -> str:
        """A text of the page, with values put in."""
        text: str = self.texts["pages"][name]
        return text.format(**values) if values else text


def _message(service: Service, title: str, text: str) -> None:
    """For visitors whose language is not known: every language."""
    for language in service.study.config.languages:
        pages = study_texts(service.study.config, language)["pages"]
        st.header(pages[title])
        st.write(pages[text])


def _language(service: Service, invite: str) -> str:
    languages = service.study.config.languages
    chosen = service.registry.language(invite) or st.session_state.get("language_choice", "")
    if chosen in languages:
        return str(chosen)
    browser = (st.context.locale or "").partition("-")[0]
    return browser if browser in languages else languages[0]


def _show_consent(visit: _Visit) -> None:
    config = visit.service.study.config
    languages = config.languages
    if len(languages) > 1:
        st.segmented_control(
            "Language",
            languages,
            default=visit.language,
            format_func=lambda code: study_texts(config, code)["name"],
            key="language_choice",
            label_visibility="collapsed",
        )
    st.header(config.title[visit.language])
    st.markdown(consent_text(config, visit.service.study.per_rater, visit.language))
    agreed = st.checkbox(visit.say("consent_agree"), key="agreed")
    if st.button(visit.say("continue"), type="primary", disabled=not agreed, key="consent"):
        visit.service.registry.consent(visit.invite, visit.language)
        st.rerun()


def _show_questions(visit: _Visit) -> None:
    st.header(visit.say("questions_title"))
    answers = visit.texts["answers"]
    chosen = [
        st.radio(
            visit.say(name), options, index=None, format_func=answers.__getitem__, key=name, horizontal=True
        )
        for name, options in (("age", AGE_BANDS), ("vision", VISIONS), ("display", DISPLAYS))
    ]
    complete = all(chosen)
    if st.button(visit.say("continue"), type="primary", disabled=not complete, key="questions"):
        age, vision, display = (str(choice) for choice in chosen)
        config = visit.service.study.config
        stops = refused(config, unsuitable(config.viewing, display, vision))
        for rule in stops:
            st.error(visit.say(f"refused_{rule}"))
        if stops:
            visit.service.registry.refuse(visit.invite)
        else:
            visit.service.registry.answer_questions(visit.invite, age, vision, display)
            st.rerun()
    _offer_withdrawal(visit)


def _show_viewing(visit: _Visit) -> None:
    rules = visit.service.study.config.viewing
    st.header(visit.say("viewing_title"))
    st.write(visit.say("viewing_text"))
    width, height = visit.service.registry.largest_image()
    if visit.service.study.config.scale.beside:
        width = 2 * width + ORIGINAL_GAP
    names = ("patches", "fits", "too_small", "full_screen", "card", "card_first", "blind_spot")
    result = component("viewing")(
        key="viewing",
        data={
            "steps": [list(step) for step in GREY_STEPS],
            "width": width,
            "height": height,
            "bar": BAR_HEIGHT,
            "card": rules.card,
            "blind_spot": rules.blind_spot,
            "texts": {name: visit.say(f"viewing_{name}") for name in (*names, "blind_spot_start")},
        },
        default={"measured": None},
        on_measured_change=lambda: None,
    )
    measured = result.measured if isinstance(result.measured, dict) else {}
    values: dict[str, float | int | str] = {
        name: value
        for name, value in measured.items()
        if name in MEASURED and isinstance(value, (int, float, bool))
    }
    seen = st.segmented_control(visit.say("viewing_question"), list(range(9)), key="patches")
    missing = seen is None or (rules.card and "pixels_per_mm" not in values)
    if rules.asks_distance:
        distance = st.number_input(visit.say("viewing_distance"), 20, 300, None, key="distance")
        missing = missing or distance is None
        values["distance_mm"] = 10 * (distance or 0)
    elif rules.blind_spot:
        missing = missing or "distance_mm" not in values
    if rules.acuity is not None or rules.colour_plates:
        values |= _test_eyes(visit, values)
        missing = missing or (rules.acuity is not None and "rings_right" not in values)
        missing = missing or (rules.colour_plates > 0 and "plates_right" not in values)
    # found before the study, not in its middle
    missing = missing or ("window" in rules.refuse and values.get("fits") is False)
    if st.button(visit.say("continue"), type="primary", disabled=missing, key="viewing_done"):
        stops = visit.service.registry.check_viewing(visit.invite, {**values, "patches": int(seen or 0)})
        st.session_state["refused"] = stops
        if not stops:
            st.rerun()
    for rule in st.session_state.get("refused", ()):
        st.error(visit.say(f"refused_{rule}"))
    _offer_withdrawal(visit)


def _test_eyes(visit: _Visit, values: dict[str, float | int | str]) -> dict[str, int]:
    """Landolt rings and colour plates; what they found so far."""
    rules = visit.service.study.config.viewing
    gap = ring_gap(values, rules.acuity) if rules.acuity is not None else None
    told = visit.say("viewing_rings_first")
    if gap is not None and gap < 1:
        # finer than the screen: from farther away it is not
        told = visit.say("viewing_rings_near", distance=math.ceil(float(values["distance_mm"]) / gap / 10))
    result = component("eyes")(
        key="eyes",
        data={
            "rings": rules.acuity is not None,
            "plates": rules.colour_plates > 0,
            "gap": gap,
            "told": told,
            "texts": {name: visit.say(f"viewing_{name}") for name in ("rings", "ring", "plates", "plate")},
        },
        default={"found": None},
        on_found_change=lambda: None,
    )
    found = result.found if isinstance(result.found, dict) else {}
    return {name: int(found[name]) for name in MEASURED_EYES if isinstance(found.get(name), int)}


def _show_instructions(visit: _Visit) -> None:
    again = visit.state.done > 0
    st.header(visit.say("instructions_title"))
    if again:
        st.info(visit.say("instructions_again"))
    st.markdown(visit.say("instructions"))
    if not again:
        _show_calibration_note(visit)
    if st.button(visit.say("start"), type="primary", key="instructed"):
        visit.service.registry.instructed(visit.invite)
        after = visit.service.votes.state(visit.invite)
        if after.screen.phase == Phase.EXAMPLE:
            st.session_state["begun"] = after.key
        st.rerun()
    _offer_plain(visit)
    _offer_withdrawal(visit)


def _show_calibration_note(visit: _Visit) -> None:
    config = visit.service.study.config
    checks = config.calibration.check_items
    st.markdown(visit.say("calibration_note", examples=config.examples, checks=checks))


def _offer_withdrawal(visit: _Visit) -> None:
    votes = visit.service.study.config.withdrawal.votes
    with st.expander(visit.say("withdraw_title")):
        st.write(visit.say(f"withdraw_{votes}"))
        sure = st.checkbox(visit.say("withdraw_sure"), key="withdraw_sure")
        if st.button(visit.say("withdraw"), disabled=not sure, key="withdraw"):
            visit.service.registry.withdraw(visit.invite)
            st.session_state["withdrawn"] = votes
            st.rerun()


def _offer_plain(visit: _Visit) -> None:
    if "plain" not in st.query_params and st.button(visit.say("plain_link"), type="tertiary", key="plain"):
        st.query_params["plain"] = "1"
        st.rerun()


def _show_retry(visit: _Visit) -> None:
    st.header(visit.say("retry_title"))
    st.write(visit.say("retry"))
    if st.button(visit.say("start"), type="primary", key="retry"):
        visit.service.votes.retry_check(visit.invite)
        st.session_state["begun"] = visit.service.votes.state(visit.invite).key
        st.rerun()
    _offer_withdrawal(visit)


def _show_break(visit: _Visit) -> None:
    @st.fragment(run_every=1)
    def countdown() -> None:
        left = max(0, -(-((visit.state.screen.until_ms or 0) - now_ms()) // 1000))
        if left == 0:
            st.rerun()
        after = round(visit.service.study.config.breaks.after_minutes)
        st.write(visit.say("break", after=after, minutes=left // 60, seconds=f"{left % 60:02d}"))

    st.header(visit.say("break_title"))
    st.progress(visit.state.done / max(1, visit.state.total), _progress(visit))
    countdown()
    _offer_withdrawal(visit)


def _progress(visit: _Visit) -> str:
    return visit.say("progress", done=visit.state.done, total=visit.state.total)


def _show_stage(visit: _Visit) -> None:
    state = visit.state
    under_way = state.place > 1 and now_ms() - (state.last_answer_ms or 0) < _RECENT_MS
    paused = st.session_state.get("paused") == state.key
    if st.session_state.get("begun") != state.key and (paused or not under_way):
        _show_card(visit)
        return
    if "plain" in st.query_params:
        _show_plain(visit)
        return
    config = visit.service.study.config
    result = component("stage")(
        key=f"stage-{state.key}",
        data={
            "api": PREFIX,
            "token": visit.invite,
            "key": state.key,
            "phase": state.screen.phase.value if state.screen.phase else "",
            "language": visit.language,
            "direction": visit.texts["direction"],
            "minimum_exposure_ms": config.stage.minimum_exposure_ms,
            "gap_ms": config.stage.gap_ms,
            "original_gap": ORIGINAL_GAP,
            "magnification": config.viewing.magnification,
            "method": config.scale.method,
            "scores": config.scale.scores,
            "texts": {
                **visit.texts["stage"],
                "words": visit.texts["scale"]["words"],
                "question": visit.texts["scale"]["question"],
            },
        },
        on_done_change=lambda: None,
    )
    if str(result.done or "").startswith(PAUSED):
        st.session_state["paused"] = state.key
        st.session_state.pop("begun", None)
        st.rerun()


def _show_card(visit: _Visit) -> None:
    """Says what comes next; the stage opens with the button."""
    state, config = visit.state, visit.service.study.config
    values = {
        "block": state.block,
        "blocks": config.order.blocks,
        "done": state.done,
        "total": state.total,
        "place": state.place,
        "stretch": state.stretch,
        "minutes": state.minutes_left,
    }
    if state.screen.phase == Phase.RATING:
        st.header(visit.say("block_title", **values))
        name = "block_resume" if state.place > 1 else "block_next" if state.done else "block_first"
        st.write(visit.say(name, **values))
        st.progress(state.done / max(1, state.total), _progress(visit))
    elif state.screen.phase == Phase.CHECK:
        st.header(visit.say("check_title"))
        st.write(visit.say("check", count=state.stretch))
    elif state.screen.phase == Phase.WARMUP:
        st.header(visit.say("warmup_title"))
        st.write(visit.say("warmup", count=state.stretch))
    else:
        st.header(visit.say("instructions_title"))
        _show_calibration_note(visit)
    begin = "continue" if state.place > 1 else "start"
    if st.button(visit.say(begin), type="primary", key=f"begin-{state.key}"):
        st.session_state["begun"] = state.key
        st.session_state.pop("paused", None)
        st.rerun()
    _offer_withdrawal(visit)


def _show_plain(visit: _Visit) -> None:
    """The fallback: an image and five buttons, no bundle. Every vote is marked as unmeasured."""
    state, item = visit.state, visit.state.current
    if item is None:
        return
    shown = st.session_state.get("plain_item")
    if shown is None or shown["item"] != item.item:
        shown = {"item": item.item, "nonce": secrets.token_urlsafe(16), "at": now_ms()}
        st.session_state["plain_item"] = shown
    place = visit.texts["stage"]["place"][state.screen.phase.value if state.screen.phase else "rating"]
    values = {
        "block": state.block,
        "place": state.place,
        "stretch": state.stretch,
        "minutes": state.minutes_left,
    }
    words = visit.texts["scale"]["words"]
    if item.label is not None:
        place = visit.texts["stage"]["example"]
        values |= {"score": item.label, "word": words[item.label - 1]}
    st.caption(place.format(**values))
    source = f"{PREFIX}/s/{item.image}.png"
    sources = [f"{PREFIX}/s/{item.beside}.png"] if item.beside else []
    pictures = "".join(
        f'<img src="{address}" width="{item.width}" height="{item.height}" '
        f'alt="{visit.texts["stage"]["picture"]}" '
        'style="image-rendering:pixelated;margin:4px;max-width:none">'
        for address in (*sources, source)
    )
    st.html(f'<div style="background:#808080;padding:4px;text-align:center;direction:ltr">{pictures}</div>')
    st.write(visit.texts["scale"]["question"])
    scale = visit.service.study.config.scale
    if scale.method == "slider":
        _show_plain_slider(visit, item.item, shown)
    else:
        columns = st.columns(len(scale.scores))
        if scale.method == "pair" and visit.texts["direction"] == "rtl":
            columns.reverse()  # the left one's button stands left, as its picture does
        for score, column in zip(scale.scores, columns, strict=True):
            column.button(
                f"{score} {words[score - 1]}",
                key=f"{item.item}-{score}",
                disabled=item.label not in (None, score),
                on_click=_plain_vote,
                args=(visit, dict(shown), score),
                width="stretch",
            )
    if state.can_undo:
        st.button(
            visit.texts["stage"]["undo"],
            key=f"undo-{item.item}",
            on_click=_plain_undo,
            args=(visit, item.item),
        )
    said = st.session_state.pop("plain_said", "")
    if said:
        st.caption(said)
    _offer_withdrawal(visit)


def _show_plain_slider(visit: _Visit, item: str, shown: dict[str, Any]) -> None:
    # empty at first: a slider of Streamlit's stands somewhere, and that would suggest an answer
    at = st.number_input(visit.say("slider_plain"), 0, SLIDER_STEPS, None, key=f"{item}-slider")
    st.button(
        visit.texts["stage"]["confirm"],
        key=f"{item}-ok",
        disabled=at is None,
        on_click=_plain_vote,
        args=(visit, dict(shown), category(at or 0), at),
    )


def _plain_vote(visit: _Visit, shown: dict[str, Any], score: int, slider: int | None = None) -> None:
    ballot = Ballot(
        item=shown["item"],
        nonce=shown["nonce"],
        score=score,
        slider=slider,
        response_ms=min(now_ms() - shown["at"], 86_400_000),
        display=DisplayRecord(surface="plain"),
    )
    outcome = visit.service.votes.vote(visit.invite, ballot)
    said = {"saved": "plain_saved", "repeated": "plain_saved", "early": "plain_early"}
    if outcome.verdict == "label":  # a slider in another part than the example's
        label = outcome.state.current.label if outcome.state.current else None
        st.session_state["plain_said"] = visit.texts["stage"]["press_label"].format(score=label)
        return
    st.session_state["plain_said"] = visit.say(said.get(outcome.verdict, "plain_conflict"))


def _plain_undo(visit: _Visit, item: str) -> None:
    visit.service.votes.undo(visit.invite, item)


def _show_thanks(visit: _Visit) -> None:
    st.header(visit.say("thanks_title"))
    config = visit.service.study.config
    st.write(visit.say("thanks", total=visit.state.total))
    if config.closing_comment:
        with st.form("comment"):
            said = st.text_area(visit.say("comment"), max_chars=2000)
            if st.form_submit_button(visit.say("comment_send")) and said.strip():
                visit.service.registry.comment(visit.invite, said)
                st.write(visit.say("comment_saved"))
    part = config.recruiting
    if part is not None and part.completion_code:
        st.write(visit.say("completion_code"))
        st.code(part.completion_code, language=None)
    if part is not None and part.completion_url:
        address = part.completion_url.replace("{code}", quote(part.completion_code))
        st.link_button(visit.say("completion_link"), address, type="primary")
    _offer_withdrawal(visit)


def _show_closed(visit: _Visit) -> None:
    opens = visit.service.study.config.schedule.opens
    early = opens is not None and now_ms() < opens.timestamp() * 1000
    st.header(visit.say("closed_title"))
    st.write(visit.say("not_yet", at=f"{opens:%Y-%m-%d %H:%M %Z}") if early else visit.say("closed"))
    _offer_withdrawal(visit)


_SCREENS: dict[Kind, Callable[[_Visit], None]] = {
    Kind.CONSENT: _show_consent,
    Kind.QUESTIONS: _show_questions,
    Kind.VIEWING: _show_viewing,
    Kind.INSTRUCTIONS: _show_instructions,
    Kind.RETRY: _show_retry,
    Kind.BREAK: _show_break,
    Kind.STAGE: _show_stage,
    Kind.THANKS: _show_thanks,
    Kind.CLOSED: _show_closed,
}
