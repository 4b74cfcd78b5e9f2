"""What every table and column of an export means, in one page that goes with it."""

from __future__ import annotations

from mos_app.db.models import PHASES
from mos_app.db.studies import OpenStudy
from mos_app.study.display import DEVIATIONS
from mos_app.study.texts import study_texts

_RATING_TABLES = """\
| ratings.csv | valid vote | what tables and tests read |
| mos.csv | data set, method and image (empty: all) | MOS and DMOS with 95 % intervals |
| ratings.json | | what the columns of ratings.csv mean, as a BIDS sidecar |
| ratings_wide.csv | stimulus and showing | one column per rater |
| sureal.json | stimulus | the same without excluded raters and repeats, in sureal's format |"""
_PAIR_TABLES = "| pairs.csv | valid vote | which of two methods was preferred |"


def codebook(study: OpenStudy, votes: int) -> str:
    """The codebook of a study's export, in Markdown.

    Args:
        study: the study.
        votes: how many ratings the export holds.
    """
    told = "**Synthetic: these ratings were drawn by a program.**\n\n" if study.synthetic else ""
    scale = study_texts(study.config, study.config.languages[0])["scale"]
    words = ", ".join(f"{score} {word}" for score, word in enumerate(scale["words"], start=1))
    words = f"{words} ({scale['question']})"
    tables = _PAIR_TABLES if study.config.scale.method == "pair" else _RATING_TABLES
    return f"""# Codebook of the study {study.name}

{told}{votes} ratings. Times are milliseconds since 1970-01-01 UTC; lengths of time are milliseconds.

| file | one row per | holds |
| --- | --- | --- |
{tables}
| participants.tsv | rater | what BIDS calls participants; columns explained in participants.json |
| calibration.csv | practice answer | examples, checks, warm-ups, attention items; never analysed as votes |
| raters.csv | rater | pseudonym, answers to the questions, viewing check, marks |
| stimuli.csv | stimulus | size, SHA-256 of the PNG that was shown and of the one it was made from |
| presentations.csv | planned showing | every rater's order, answered or not |
| answers.csv | valid answer of any phase | score, times, and the display record |
| viewing.csv | viewing check | measured values (JSON), broken rules, whether they stopped the rater |
| withdrawn.csv | answer taken back by its rater | the same, and when |
| events.csv | event | the audit log |
| study.toml, study.json | | the study's configuration, its name, seed, order algorithm and reference images |
| manifest.json | | versions, commit, configuration, SHA-256 of every file |

| column | meaning |
| --- | --- |
| rater | pseudonym |
| dataset, image, method | the stimulus; HR is the original |
| repeat | 0, or 1 for the second showing of the same stimulus (pilot) |
| phase | {", ".join(PHASES)} |
| attempt | of the check (1, 2), or the number of the warm-up |
| block, position | block from 1; position from 1 in the rater's whole order |
| score | {words} |
| slider | position on the continuous scale, 0 to 100; score is the fifth that it is in |
| first, second | the two methods of a pair; elsewhere method is first and second with a bar between |
| left, preferred | which of the two stood on the left, and which was preferred; tie: no difference |
| swapped | 1: the second method of a pair stood on the left |
| response_ms | from the picture's second frame on the screen to the answer |
| *_ms, *_at | the same moment: milliseconds since 1970, and ISO 8601 in UTC |
| answered_ms | when the server received the answer |
| showing | 1, or more where the rater took an earlier answer back |
| nonce | random name of the key press; the same in every delivery of it |
| excluded | 1: an admin excluded the rater (reversible; see events.csv) |
| flagged | 1: the rater failed the last attempt at the calibration check |
| synthetic | 1: the rater is a program |
| surface | stage; plain (fallback page); synthetic |
| pixel_ratio | device pixels per CSS pixel |
| rect_left, rect_top, rect_width, rect_height | the picture on the screen, in device pixels |
| zoom | pinch zoom, 1 is none |
| window_*, screen_* | sizes in CSS pixels |
| magnification | device pixels per picture pixel, in each direction (nearest neighbour) |
| exposures | how often the picture was put on the screen until it was answered |
| hidden | 1: the page was out of sight at some time while the picture was on it |
| form | which subset of the images the rater saw (0 where everybody sees all) |
| completed_ms | when the rater gave the last rating |
| comment | what the rater said at the end; ' before it where a spreadsheet would take it for a formula |
| erased_ms | when the rater withdrew; personal answers are gone, votes deleted or anonymous (events.csv) |
| deviations | empty, or: {", ".join(DEVIATIONS)} |
| sha256, source_sha256 | of the PNG shown, and of its source in the image store |
"""
