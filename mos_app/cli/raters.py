"""``status``, ``order``, ``exclude``, ``panel``, ``erase``: a study's raters."""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mos_app.cli.common import DatabaseOption, ResultsOption, StudyOption, opened_study, registry_of
from repro.core.errors import UserError
from repro.core.paths import Results


def status(
    results: ResultsOption = Path("results"), study: StudyOption = "", database: DatabaseOption = ""
) -> None:
    """Print the studies, or the progress and quality control of one."""
    from rich.console import Console
    from rich.table import Table

    from mos_app.db.tables import rating_votes, read_answers, read_progress, read_raters
    from mos_app.files.workspace import study_names
    from mos_app.study.pairs import judged_raters

    names = study_names(Results(results))
    if not study and len(names) != 1 and not database:
        print("studies:", ", ".join(names) or "none")
        if not names:
            return
    with opened_study(results, study, database) as workspace:
        opened = workspace.study
        answers = read_answers(workspace.database)
        votes, attention = rating_votes(answers, opened.config)
        quality = judged_raters(votes, opened.per_rater, opened.config, attention).set_index("rater")
        marks = read_raters(workspace.database).set_index("code")
        title = f"{opened.name}: {len(votes)} of {len(marks) * opened.per_rater} ratings"
        table = Table(title=title + (" (synthetic)" if opened.synthetic else ""))
        for column in ("rater", "ratings", "last (UTC)", "median ms", "fast", "corr.", "marks"):
            table.add_column(column, justify="left" if column in {"rater", "marks"} else "right")
        for row in read_progress(workspace.database).itertuples():
            code = str(row.rater)
            mark = ["excluded"] * bool(marks.loc[code, "excluded"])
            last, cells = "", ["", "", ""]
            if code in quality.index:
                seen = quality.loc[code]
                mark += [str(seen["warnings"])] if seen["warnings"] else []
                last = datetime.fromtimestamp(float(str(row.last_ms)) / 1000, UTC).strftime("%Y-%m-%d %H:%M")
                alike = seen.get("correlation", seen.get("agreement"))
                cells = [f"{seen['median_ms']:.0f}", f"{seen['fast']:.2f}", f"{alike:.2f}"]
            table.add_row(code, f"{row.votes}", last, *cells, "; ".join(mark))
        Console().print(table)


def order(
    rater: Annotated[str, typer.Option(help="Pseudonym, such as r01.")],
    results: ResultsOption = Path("results"),
    study: StudyOption = "",
    database: DatabaseOption = "",
) -> None:
    """Print a rater's order as CSV, made from the seed again and compared with the database."""
    from mos_app.db.tables import read_presentations, read_raters
    from mos_app.study.order import rater_sides, study_order
    from mos_app.study.progress import Phase

    with opened_study(results, study, database) as workspace:
        raters = read_raters(workspace.database).set_index("code")
        if rater not in raters.index:
            raise UserError(f"no rater {rater!r}", "one of " + ", ".join(raters.index[:5]) + ", ...")
        if raters["erased_ms"].notna()[rater] and workspace.study.config.withdrawal.votes == "anonymise":
            raise UserError(f"{rater} is anonymous, so is the order", "a rater who has not withdrawn")
        number, form = (int(str(raters[name][rater])) for name in ("number", "form"))
        items = workspace.study.items_of(number, form)
        config = workspace.study.config
        places = study_order(config, items, number)
        planned = read_presentations(workspace.database)
        planned = planned[(planned["rater"] == rater) & (planned["phase"] == Phase.RATING.value)]
    made = [
        (
            place.position,
            place.block,
            place.item.dataset,
            place.item.image,
            place.item.method,
            place.item.repeat,
            *((swapped,) if config.scale.method == "pair" else ()),
        )
        for place, swapped in zip(places, rater_sides(config, places, number), strict=True)
    ]
    columns = ["position", "block", "dataset", "image", "method", "repeat"]
    columns += ["swapped"] if config.scale.method == "pair" else []
    stored = list(planned[columns].itertuples(index=False, name=None))
    if made != stored:
        raise UserError(
            f"{rater}: the database has another order than the seed gives", "the same", "restore a backup"
        )
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    writer.writerows(made)


def exclude(
    rater: Annotated[str, typer.Option(help="Pseudonym, such as r01.")],
    reason: Annotated[str, typer.Option(help="Goes into the log.")],
    undo: Annotated[bool, typer.Option("--undo", help="Include the rater again.")] = False,
    results: ResultsOption = Path("results"),
    study: StudyOption = "",
    database: DatabaseOption = "",
) -> None:
    """Exclude a rater from the analysis, logged and reversible; deletes nothing."""
    with opened_study(results, study, database) as workspace:
        registry = registry_of(workspace)
        if undo:
            registry.include(rater, reason, "command")
        else:
            registry.exclude(rater, reason, "command")
        print(f"{rater} is {'included' if undo else 'excluded'}")


def panel(
    results: ResultsOption = Path("results"), study: StudyOption = "", database: DatabaseOption = ""
) -> None:
    """Print who came by the open link, as CSV: panel id, pseudonym, state. Never part of an export."""
    with opened_study(results, study, database) as workspace:
        rows = registry_of(workspace).panel()
        csv.writer(sys.stdout).writerows([("participant", "rater", "state"), *rows])


def erase(
    rater: Annotated[str, typer.Option(help="Pseudonym, such as r01.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    results: ResultsOption = Path("results"),
    study: StudyOption = "",
    database: DatabaseOption = "",
) -> None:
    """Withdraw a rater: personal answers go, votes go or become anonymous as the study file says."""
    with opened_study(results, study, database) as workspace:
        votes = workspace.study.config.withdrawal.votes
        if not yes:
            typer.confirm(
                f"{votes} the votes of {rater} and delete the personal answers, for good?", abort=True
            )
        code = registry_of(workspace).erase(rater, "command")
        print(f"{rater} is erased" + (f"; the votes stay as {code}'s" if votes == "anonymise" else ""))
        print("older backups and exports still hold the data: delete or make them again")
