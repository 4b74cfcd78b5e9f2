"""Every table of a study's opinions."""

from __future__ import annotations

from analysis.io.metrics import Metrics
from analysis.judge.claims import sensitivities
from analysis.judge.plan import compared_plan
from analysis.study.results import Study
from analysis.tables.correlation import correlation_tables
from analysis.tables.grid import Table
from analysis.tables.opinions import opinions, per_image
from analysis.tables.outliers import outlier_tables
from analysis.tables.plan import plan_table
from analysis.tables.raters import blocks, rater_table, reliability
from analysis.tables.sensitivity import sensitivity_table
from analysis.tables.significance import significance


def study_tables(study: Study, metrics: Metrics) -> list[Table]:
    """Every table of a study that has votes, in reading order."""
    planned = compared_plan(study)
    made = [plan_table(planned, study)] if planned else []
    made += [opinions(study), sensitivity_table(sensitivities(study), study), *significance(study)]
    made += [reliability(study), rater_table(study)]
    if study.blocks:
        made.append(blocks(study))
    made += correlation_tables(study, metrics)
    made += [*outlier_tables(study), per_image(study)]
    return made
