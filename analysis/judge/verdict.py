"""What it all comes to: how many of the paper's figures came out, in a few sentences."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.judge.claims import FAILS, HOLDS, NO_DATA, OPEN, Claim
from analysis.judge.values import Judge, Judgement, Outcome
from repro.papers.srgan import DATASETS

_GROUPS = (
    ("Interpolation and original", ("nearest", "bicubic", "HR")),
    ("Reference methods", ("SRCNN", "SelfExSR", "DRCN", "ESPCN")),
    ("SRResNet", ("SRResNet-MSE", "SRResNet-VGG22")),
    ("SRGAN", ("SRGAN-MSE", "SRGAN-VGG22", "SRGAN-VGG54")),
)


@dataclass(frozen=True)
class Tally:
    """How many of the paper's figures of a group were reproduced, were not, and could not be judged."""

    group: str
    reproduced: int
    failed: int
    open: int

    @property
    def sentence(self) -> str:
        judged = self.reproduced + self.failed
        if not judged:
            return f"{self.group}: none of {self.open} figures could be judged."
        left = f"; {self.open} could not be judged" if self.open else ""
        return f"{self.group}: {self.reproduced} of {judged} figures reproduced{left}."


@dataclass(frozen=True)
class Verdict:
    """The top of the report.

    Attributes:
        headline: one sentence.
        scores: PSNR and SSIM by group of methods.
        mos: the same for MOS; None without ratings.
        claims: one sentence on the paper's claims.
        warnings: notes on methods that every reader must see.
    """

    headline: str
    scores: tuple[Tally, ...]
    mos: Tally | None
    claims: str
    warnings: tuple[str, ...]

    def markdown(self) -> str:
        """The verdict as Markdown: the same sentences as at the top of the report."""
        mos = self.mos.sentence if self.mos else "MOS: no ratings could be compared with the paper's."
        points = [*(tally.sentence for tally in self.scores), mos, self.claims]
        lines = ["# Verdict", "", f"**{self.headline}**", "", *(f"* {point}" for point in points)]
        if self.warnings:
            lines += ["", "What every reader must know:", "", *(f"* {words}" for words in self.warnings)]
        return "\n".join(lines) + "\n"


def verdict(judge: Judge, claims: list[Claim]) -> Verdict:
    """Counts the records of everything that the paper prints; simulated raters count for nothing.

    Args:
        judge: of the results.
        claims: re-tested.
    """
    records = list(judge.printed())
    scores = [record for record in records if record.metric != "mos"]
    tallies = []
    for group, methods in _GROUPS:
        found = [record for record in scores if record.method in methods]
        if found and _any_scored(judge):
            tallies.append(_tally(group, found))
    imported = [record for record in scores if record.imported]
    rated = [record for record in records if record.metric == "mos" and not record.synthetic]
    mos = _tally("MOS (interval covers the paper's figure)", rated)
    reproduced = sum(tally.reproduced for tally in tallies)
    judged = reproduced + sum(tally.failed for tally in tallies)
    total = judged + sum(tally.open for tally in tallies)
    if not total:
        headline = "Nothing here can be compared with the paper: none of its data sets was scored."
    elif not judged:
        headline = f"None of {total} PSNR and SSIM figures of the paper could be judged."
    else:
        left = f"; {total - judged} of {total} could not be judged" if total > judged else ""
        headline = (
            f"{reproduced} of {judged} PSNR and SSIM figures that could be judged are reproduced within the "
            f"stated tolerance{left}."
        )
    if imported:
        # what others computed is shown, and counts for nothing in the headline
        tallies.append(_tally("Imported images of others", imported))
    return Verdict(
        headline,
        tuple(tallies),
        mos if mos.reproduced + mos.failed else None,
        _claims(claims, judge.opinions.synthetic),
        judge.metrics.notes_by_method,
    )


def _any_scored(judge: Judge) -> bool:
    return bool((judge.metrics.datasets() | judge.opinions.rated_datasets()) & set(DATASETS))


def _tally(group: str, records: list[Judgement]) -> Tally:
    found = [record.outcome for record in records]
    return Tally(
        group,
        found.count(Outcome.REPRODUCED),
        found.count(Outcome.NOT_REPRODUCED),
        found.count(Outcome.UNDECIDED) + found.count(Outcome.NOT_JUDGED),
    )


def _claims(claims: list[Claim], synthetic: bool) -> str:
    words = []
    for name, verdicts in (
        ("paper mode", [claim.paper_mode for claim in claims]),
        ("robust mode", [claim.robust_mode for claim in claims if claim.robust_mode != "–"]),
    ):
        counts = [
            f"{verdicts.count(v)} {_PLURAL[v]}" for v in (HOLDS, FAILS, OPEN, NO_DATA) if verdicts.count(v)
        ]
        words.append(f"{name}: {', '.join(counts)}")
    doubt = " Those on opinions come from synthetic raters and say nothing." if synthetic else ""
    return f"Of the paper's {len(claims)} claims, {'; '.join(words)}.{doubt}"


_PLURAL = {HOLDS: "hold", FAILS: "do not hold", OPEN: "undecided", NO_DATA: "without data"}
