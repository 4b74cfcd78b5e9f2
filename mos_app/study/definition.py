"""A study as its TOML file says it: one frozen, typed configuration whose parts fit one another."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Any

from pydantic import Field, model_validator

from mos_app.study.parts import (
    NAME_LENGTH,
    AttentionPart,
    BreakPart,
    CalibrationPart,
    ConsentPart,
    DatasetPart,
    Language,
    Name,
    OrderPart,
    Part,
    PilotPart,
    PreregistrationPart,
    QualityPart,
    RecruitingPart,
    RepeatsPart,
    ResumePart,
    ScalePart,
    SchedulePart,
    StagePart,
    SubsetPart,
    ViewingPart,
    WithdrawalPart,
    pair_name,
)
from repro.core.errors import UserError


class StudyConfig(Part):
    """Everything that `init` needs to know. Unknown keys are errors."""

    name: Name
    title: dict[str, str]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    languages: list[Language] = Field(["en", "de"], min_length=1)
    raters: Annotated[int, Field(ge=1, le=2000)] = 26
    seconds_per_rating: Annotated[float, Field(gt=0)] = 3.5
    """For the length that raters are told of, and the time left."""
    datasets: Annotated[list[DatasetPart], Field(min_length=1)]
    calibration: CalibrationPart
    pilot: PilotPart | None = None
    order: OrderPart = OrderPart()
    breaks: BreakPart = BreakPart()
    scale: ScalePart = ScalePart()
    stage: StagePart = StagePart()
    viewing: ViewingPart = ViewingPart()
    resume: ResumePart = ResumePart()
    quality: QualityPart = QualityPart()
    consent: ConsentPart
    withdrawal: WithdrawalPart = WithdrawalPart()
    subset: SubsetPart | None = None
    repeats: RepeatsPart | None = None
    attention: AttentionPart | None = None
    recruiting: RecruitingPart | None = None
    schedule: SchedulePart = SchedulePart()
    preregistration: PreregistrationPart = PreregistrationPart()
    texts: dict[str, dict[str, Any]] = Field({})
    """Language -> texts in place of those that ship (question, words, ...), or a whole language."""
    closing_comment: bool = False
    """Whether raters are asked for a comment at the end."""

    @model_validator(mode="after")
    def _consistent(self) -> StudyConfig:
        names = [dataset.name for dataset in self.datasets]
        if len(set(names)) != len(names):
            raise ValueError("a data set is named twice")
        if self.calibration.dataset in names:
            raise ValueError(f"calibration images must not be rated ones ({self.calibration.dataset})")
        if self.pilot is not None:
            methods = {dataset.name: dataset.methods for dataset in self.datasets}
            if self.pilot.method not in methods.get(self.pilot.dataset, []):
                raise ValueError(f"pilot: {self.pilot.dataset}/{self.pilot.method} is not rated")
        self._check_scale()
        counts = {dataset.name: dataset.count for dataset in self.datasets}
        for name, count in (self.subset.images if self.subset else {}).items():
            if count > counts.get(name, 0):
                raise ValueError(f"subset: {name} has {counts.get(name, 0)} images, {count} are wanted")
        if self.attention is not None and self.attention.count > self.calibration.images:
            raise ValueError(f"attention: {self.attention.count} items, {self.calibration.images} images")
        if self.calibration.check_items > self.examples:
            raise ValueError(f"{self.calibration.check_items} check items, {self.examples} to draw from")
        for language in self.languages:
            if language not in self.title or language not in self.consent.text:
                raise ValueError(f"title or consent text is missing in {language!r}")
        return self

    @property
    def examples(self) -> int:
        """How many labelled examples a rater sees: each calibration image in both versions, or as a pair."""
        return self.calibration.images * (1 if self.scale.method == "pair" else 2)

    @property
    def calibration_versions(self) -> tuple[str, ...]:
        """What is shown of a calibration image: the low and the high version, or their pair."""
        low, high = self.calibration.low, self.calibration.high
        return (pair_name(low, high),) if self.scale.method == "pair" else (low, high)

    def pairs_of(self, part: DatasetPart) -> list[tuple[str, str]]:
        """The pairs of methods that raters compare of a data set, in the order of its methods."""
        named = {frozenset(pair) for pair in self.scale.pairs}
        return [pair for pair in combinations(part.methods, 2) if not named or frozenset(pair) in named]

    def versions_of(self, part: DatasetPart) -> list[str]:
        """What raters judge of each image of a data set: methods, or names of pairs."""
        if self.scale.method != "pair":
            return part.methods
        return [pair_name(*pair) for pair in self.pairs_of(part)]

    def without_effect(self) -> list[str]:
        """Settings of single pictures' scores in a study of pairs."""
        if self.scale.method != "pair":
            return []
        of_scores = {
            "calibration": (self.calibration, ("low_at_most", "high_at_least")),
            "quality": (self.quality, ("low_mean_at_most", "high_mean_at_least")),
        }
        return [
            f"{key}.{name}"
            for key, (part, names) in of_scores.items()
            for name in names
            if getattr(part, name) != type(part).model_fields[name].default
        ]

    def _check_scale(self) -> None:
        high = self.calibration.high
        lacking = [part.name for part in self.datasets if high not in part.methods]
        if self.scale.method == "dcr" and lacking:
            raise ValueError(
                f"scale dcr shows {high} beside every picture; it is not among {lacking[0]}'s methods"
            )
        if self.scale.method != "pair":
            return
        if self.pilot is not None:
            raise ValueError("pilot: pairs are repeated by [repeats]")
        for part in self.datasets:
            if not self.pairs_of(part):
                raise ValueError(f"scale pair: {part.name} has none of the pairs")
        known = {method for part in self.datasets for method in part.methods}
        strange = sorted({method for pair in self.scale.pairs for method in pair} - known)
        if strange:
            raise ValueError(f"scale pair: {', '.join(strange)} is among no data set's methods")
        names = [name for part in self.datasets for name in self.versions_of(part)]
        if max(map(len, (*names, *self.calibration_versions))) > NAME_LENGTH:
            raise ValueError(f"scale pair: the names of a pair have more than {NAME_LENGTH - 1} letters")

    def without_methods(self, missing: set[tuple[str, str]]) -> StudyConfig:
        """The same study without these (data set, method) pairs.

        Raises:
            UserError: a data set would have no method left, or the pilot's method is among them.
        """
        datasets = []
        for dataset in self.datasets:
            methods = [method for method in dataset.methods if (dataset.name, method) not in missing]
            if not methods:
                raise UserError(f"{dataset.name}: no method has images", "at least one", "run upscale first")
            datasets.append(dataset.model_copy(update={"methods": methods}))
        if self.pilot is not None and (self.pilot.dataset, self.pilot.method) in missing:
            raise UserError(
                f"the pilot repeats {self.pilot.method}, whose images are missing",
                "images of the repeated method",
                "run upscale for it, or name another method under [pilot]",
            )
        left = {method for part in datasets for method in part.methods}
        scale = self.scale.model_copy(
            update={"pairs": [pair for pair in self.scale.pairs if left.issuperset(pair)]}
        )
        made = self.model_copy(update={"datasets": datasets, "scale": scale})
        try:
            if self.scale.pairs and not scale.pairs:
                raise ValueError("scale pair: none of the pairs is left")
            made._check_scale()
        except ValueError as error:
            raise UserError(str(error), "images of what is compared", "run upscale for them") from None
        return made
