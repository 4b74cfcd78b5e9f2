"""What it all comes to: every printed value counted once, by class, in a few sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.judge.claims import Decision, Result
from analysis.judge.deviations import deviations
from analysis.judge.values import Judge, Judgement, Kind, Outcome
from repro.papers.srgan import DATASETS

_CLASSES = (
    (Kind.PROTOCOL, "Protocol (interpolations, and the original against itself)"),
    (Kind.BASELINE, "Baselines computed here"),
    (Kind.RESCORED, "Re-scored images (published by others, where ours are missing)"),
    (Kind.TRAINED, "Networks of the paper trained here"),
)


@dataclass(frozen=True)
class Tally:
    """How many printed values of a class have each outcome."""

    group: str
    reproduced: int
    failed: int
    undecided: int
    open: int

    @property
    def judged(self) -> int:
        return self.reproduced + self.failed + self.undecided

    @property
    def sentence(self) -> str:
        if not self.judged:
            return f"{self.group}: none of {self.open} values could be judged."
        words = [f"{self.reproduced} of {self.judged} reproduced"]
        words += [f"{self.failed} not reproduced"] if self.failed else []
        words += [f"{self.undecided} undecided"] if self.undecided else []
        words += [f"{self.open} more not judged"] if self.open else []
        return f"{self.group}: {', '.join(words)}."


@dataclass(frozen=True)
class Verdict:
    """The top of the report.

    Attributes:
        headline: one sentence, on what was trained here.
        scores: PSNR and SSIM by class; they add up to what the paper prints.
        second: on imported images beside values that are counted already; "" without any.
        mos: MOS, all classes; None without ratings.
        without_mos: why there is no tally of MOS.
        claims: one sentence on the paper's claims.
        warnings: notes on methods that every reader must see.
    """

    headline: str
    scores: tuple[Tally, ...]
    second: str
    mos: Tally | None
    without_mos: str
    claims: str
    warnings: tuple[str, ...]

    @property
    def points(self) -> list[str]:
        """The sentences below the headline."""
        total = sum(tally.judged + tally.open for tally in self.scores)
        found = [f"The paper prints {total} PSNR and SSIM values; each counts once."] if total else []
        found += [tally.sentence for tally in self.scores]
        found += [self.second] if self.second else []
        found.append(self.mos.sentence if self.mos else f"MOS: {self.without_mos}.")
        return [*found, self.claims]

    def markdown(self) -> str:
        """The verdict as Markdown: the same sentences as at the top of the report."""
        lines = ["# Verdict", "", f"**{self.headline}**", "", *(f"* {point}" for point in self.points)]
        if self.warnings:
            lines += ["", "What every reader must know:", "", *(f"* {words}" for words in self.warnings)]
        return "\n".join(lines) + "\n"


def verdict(judge: Judge, claims: Sequence[Result]) -> Verdict:
    """Counts the record of every printed value, once; simulated raters count for nothing.

    Args:
        judge: of the results.
        claims: re-tested.
    """
    records = judge.printed()
    scores = [record for record in records if record.metric != "mos"]
    anything = bool(judge.metrics.datasets() & set(DATASETS))
    tallies = tuple(
        tally(words, [record for record in scores if record.kind is kind])
        for kind, words in _CLASSES
        if anything and any(record.kind is kind for record in scores)
    )
    mos = tally("MOS", [record for record in records if record.metric == "mos" and not record.synthetic])
    twice = [record for record in judge.second_readings() if record.metric != "mos"]
    again = tally("", twice)
    second = (
        f"A second reading, not counted: published images of {again.judged} values that ours stand for above "
        f"reproduce {again.reproduced}."
        if again.judged
        else ""
    )
    return Verdict(
        _headline(anything, tally("", [record for record in scores if record.kind is Kind.TRAINED])),
        tallies,
        second,
        mos if mos.judged else None,
        "not judged, the raters are synthetic"
        if judge.opinions.synthetic
        else "no ratings could be compared with the paper's",
        _claims(claims, judge.opinions.synthetic),
        deviations(judge.metrics).lines,
    )


def _headline(anything: bool, trained: Tally) -> str:
    if not anything:
        return "Nothing here can be compared with the paper: none of its data sets was scored."
    if not trained.judged:
        return f"None of the {trained.open} PSNR and SSIM values of the paper's networks could be judged."
    rest = [f"{trained.failed} not reproduced"] if trained.failed else []
    rest += [f"{trained.undecided} undecided"] if trained.undecided else []
    rest += [f"{trained.open} more not judged"] if trained.open else []
    return (
        f"{trained.reproduced} of {trained.judged} PSNR and SSIM values of the networks trained here are "
        f"shown to lie within the stated margin of the printed ones"
        + (f"; {', '.join(rest)}." if rest else ".")
    )


def tally(group: str, records: Sequence[Judgement]) -> Tally:
    """Counts outcomes."""
    found = [record.outcome for record in records]
    return Tally(
        group,
        found.count(Outcome.REPRODUCED),
        found.count(Outcome.NOT_REPRODUCED),
        found.count(Outcome.UNDECIDED),
        found.count(Outcome.NOT_JUDGED),
    )


_PLURAL = {
    Decision.HOLDS: ("holds", "hold"),
    Decision.FAILS: ("does not hold", "do not hold"),
    Decision.UNDECIDED: ("is undecided", "are undecided"),
    Decision.NOT_JUDGED: ("is not judged", "are not judged"),
}


def _claims(claims: Sequence[Result], synthetic: bool) -> str:
    found = [claim.decision for claim in claims]
    counts = [
        f"{found.count(decision)} {words[found.count(decision) != 1]}"
        for decision, words in _PLURAL.items()
        if found.count(decision)
    ]
    doubt = ""
    if synthetic:
        doubt = " Those on opinions come from synthetic raters and say nothing."
    elif any(claim.synthetic for claim in claims):
        doubt = " That on repeated ratings comes from synthetic raters and says nothing."
    return f"Of the paper's {len(claims)} claims, {', '.join(counts) or 'none was tried'}.{doubt}"
