"""The admin's page: progress, quality control, MOS so far, exclusions, invites, export, log."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from mos_app.db.credentials import invite_link
from mos_app.db.tables import read_events
from mos_app.study.pilot import pilot_report
from mos_app.study.quality import as_displayed
from mos_app.web.overview import Overview
from mos_app.web.routes import ADMIN_COOKIE, PREFIX
from mos_app.web.service import Service, current_service
from repro.core.errors import UserError

_REFRESH_SECONDS = 30

_SYNTHETIC = "Synthetic raters: drawn by a program, not given by people."


def show_admin() -> None:
    """Shows the way to the log-in, and to the admin everything else."""
    service = current_service()
    if not service.admin.knows(admin_session()):
        st.header("Administration")
        st.html(f'<a href="{PREFIX}/admin/login" target="_self" style="color:#000">Log in</a>')
        return
    st.html("<style>.stMainBlockContainer { max-width: 1200px; }</style>")
    study = service.study
    left, middle, right = st.columns([4, 1, 1], vertical_alignment="bottom")
    left.header(f"Study {study.name}")
    if middle.button("Refresh", width="stretch"):
        service.overviews.get(fresh=True)
    right.html(f'<a href="{PREFIX}/admin/logout" target="_self" style="color:#000">Log out</a>')
    if study.synthetic:
        st.warning(_SYNTHETIC)
    if study.left_out:
        st.info("Without: " + ", ".join(f"{dataset}/{method}" for dataset, method in study.left_out))
    _show_tables(service)
    people, data, events = st.tabs(["Exclude and invite", "Export", "Log"])
    with people:
        _show_people(service, service.overviews.get().raters)
    with data:
        _show_export()
    with events:
        _show_log(service)


@st.fragment(run_every=_REFRESH_SECONDS)
def _show_tables(service: Service) -> None:
    overview = service.overviews.get()
    _show_progress(service, overview)
    paired = service.study.config.scale.method == "pair"
    quality, so_far = st.tabs(["Raters", "Preferences so far" if paired else "MOS so far"])
    with quality:
        _show_quality(service, overview)
    with so_far:
        if paired:
            st.dataframe(overview.so_far, hide_index=True)
            st.caption("Excluded raters and repeated pairs are left out.")
        else:
            _show_mos(service, overview)


def admin_session() -> str:
    """The token of the admin's session in this browser, or ``""``."""
    return str(st.context.cookies.get(ADMIN_COOKIE, ""))


def _show_progress(service: Service, overview: Overview) -> None:
    votes, raters = pd.concat([overview.votes, overview.attention]), overview.raters
    total = service.study.per_rater * len(raters)
    finished = int((votes.groupby("rater").size() >= service.study.per_rater).sum()) if len(votes) else 0
    begun = int(raters["consent_ms"].notna().sum())
    cells = st.columns(4)
    cells[0].metric("Ratings", f"{len(votes):,} of {total:,}")
    cells[1].metric("Raters finished", f"{finished} of {len(raters)}")
    cells[2].metric("Raters begun", f"{begun}")
    cells[3].metric("Flagged or excluded", f"{int((raters['flagged'] | raters['excluded']).sum())}")
    st.progress(len(votes) / max(1, total))


def _show_quality(service: Service, overview: Overview) -> None:
    table, votes, raters, progress = (
        overview.quality.copy(),
        overview.votes,
        overview.raters,
        overview.progress,
    )
    last = pd.to_datetime(progress.set_index("rater")["last_ms"], unit="ms", utc=True)
    excluded = raters.set_index("code")["excluded"]
    table.insert(1, "warnings", table.pop("warnings"))
    table.insert(2, "deviations", table.pop("deviations"))
    table.insert(4, "last vote", table["rater"].map(last))
    table.insert(1, "excluded", table["rater"].map(excluded))
    low, high = service.study.config.calibration.low, service.study.config.calibration.high
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            "warnings": st.column_config.TextColumn("warnings", width="medium"),
            "done": st.column_config.ProgressColumn("done", min_value=0, max_value=1, format="percent"),
            "last vote": st.column_config.DatetimeColumn("last vote (UTC)", format="YYYY-MM-DD HH:mm"),
            "median_ms": st.column_config.NumberColumn("median ms", format="%d"),
            "fast": st.column_config.NumberColumn(
                f"under {service.study.config.quality.fast_ms} ms", format="percent"
            ),
            "run": st.column_config.NumberColumn("longest run"),
            "low_mean": st.column_config.NumberColumn(f"mean {low}", format="%.2f"),
            "high_mean": st.column_config.NumberColumn(f"mean {high}", format="%.2f"),
            "correlation": st.column_config.NumberColumn("corr. with others", format="%.2f"),
            "bias": st.column_config.NumberColumn("bias (P.910)", format="%.2f"),
            "inconsistency": st.column_config.NumberColumn("inconsistency (P.910)", format="%.2f"),
            "deviations": st.column_config.NumberColumn("deviations", format="percent"),
        },
    )
    waiting = [code for code in raters["code"] if code not in set(table["rater"])]
    if waiting:
        st.caption(f"Not one rating yet: {', '.join(waiting)}")
    st.caption(
        "The thresholds behind the warnings are in the study file, under [quality]. They exclude nobody."
    )
    deviating = votes[votes["deviations"] != ""]
    kinds = sorted({kind for text in deviating["deviations"] for kind in text.split()})
    chosen = st.multiselect("Show votes with display deviations", kinds)
    if chosen:
        shown = deviating[deviating["deviations"].map(lambda text: bool(set(text.split()) & set(chosen)))]
        columns = ["rater", "position", "dataset", "image", "score", "pixel_ratio", "zoom", "deviations"]
        st.dataframe(shown[columns], hide_index=True)


def _show_mos(service: Service, overview: Overview) -> None:
    votes = overview.votes
    st.dataframe(
        overview.so_far,
        hide_index=True,
        column_config={
            "mos": st.column_config.NumberColumn("MOS", format="%.2f"),
            "low": st.column_config.NumberColumn("95 % from", format="%.2f"),
            "high": st.column_config.NumberColumn("to", format="%.2f"),
        },
    )
    st.caption(
        "Intervals: bootstrap over raters and images at once. Excluded raters and repeated showings are left "
        "out. Looking at these figures while a study runs and stopping when they please is not a test."
    )
    part = service.study.config.pilot
    if part is not None:
        st.subheader("Pilot")
        try:
            st.text("\n".join(pilot_report(as_displayed(votes, service.study.config), part).lines()))
        except UserError as error:
            st.caption(error.got)


def _show_people(service: Service, raters: pd.DataFrame) -> None:
    with st.form("decide", clear_on_submit=True):
        st.subheader("Exclude or include")
        code = st.selectbox("Rater", list(raters["code"]), index=None, key="decide_rater")
        exclude = st.radio("Decision", ["exclude", "include"], horizontal=True) == "exclude"
        reason = st.text_input("Reason (goes into the log)", max_chars=500)
        if st.form_submit_button("Decide"):
            try:
                (service.registry.exclude if exclude else service.registry.include)(
                    code or "", reason, "admin"
                )
                st.rerun()
            except UserError as error:
                st.error(error.got)
    st.subheader("Invite")
    code = st.selectbox("Rater", list(raters["code"]), index=None, key="invite_rater")
    new, end = st.columns(2)
    if new.button("New link", disabled=code is None, width="stretch"):
        base = (st.context.url or "").partition("/admin")[0].rstrip("/")
        try:
            st.code(invite_link(base, service.registry.invite(code or "", "admin")), language=None)
            st.caption("Shown once: only its hash is stored. Earlier links stay valid.")
        except UserError as error:
            st.error(error.got)
    if end.button("End this rater's links", disabled=code is None, width="stretch"):
        st.write(f"{service.registry.revoke(code or '', 'admin')} links ended")


def _show_export() -> None:
    st.write(
        "Ratings (long and wide), MOS and DMOS, participants, sureal JSON, codebook, orders, "
        "display records, log and hashes."
    )
    # a route of its own: behind a balancer the next request may go to another process
    st.html(f'<a href="{PREFIX}/admin/export.zip" style="color:#000">Download the export (zip)</a>')


def _show_log(service: Service) -> None:
    events = read_events(service.workspace.database).iloc[::-1].head(500)
    times = [datetime.fromtimestamp(at / 1000, UTC) for at in events["at_ms"]]
    events = events.assign(at=times)[["at", "actor", "rater", "kind", "detail"]]
    st.dataframe(
        events,
        hide_index=True,
        column_config={"at": st.column_config.DatetimeColumn("UTC", format="YYYY-MM-DD HH:mm:ss")},
    )
