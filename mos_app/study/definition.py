"""A study as its TOML file says it: one frozen, typed configuration, checked when it is read."""

from __future__ import annotations

import tomllib
from importlib import resources
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from analysis.stats.defaults import EQUIVALENCE_MARGIN, FAST_MS, WITHIN_ONE_AT_LEAST
from mos_app.study.display import Deviation
from repro.core.errors import UserError
from repro.core.paths import checked_name

TEMPLATES = ("paper", "pilot", "demo")
LANGUAGES = ("en", "de")
"""That ship; a study file may bring others under ``[texts.<language>]``."""

Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$")]

Share = Annotated[float, Field(ge=0, le=1)]

LEFT, TIE, RIGHT = 1, 2, 3
"""Answers to a pair, as scores."""

_NAME_LENGTH = 80
"""Of a method or pair in the database."""


def pair_name(first: str, second: str) -> str:
    """What a pair of methods is called where a method's name stands otherwise (methods have no bar)."""
    return f"{first}|{second}"


def _name(value: str) -> str:
    try:
        return checked_name(value, "name")
    except UserError as error:
        raise ValueError(str(error)) from None


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DatasetPart(_Part):
    """One rated data set: which methods, which images (all of the image store's if none are named)."""

    name: str
    methods: Annotated[list[str], Field(min_length=1)]
    images: list[str] = []
    count: Annotated[int, Field(ge=1)]
    """How many images there have to be; `init` stops when the store holds another number."""

    @field_validator("name")
    @classmethod
    def _checked(cls, value: str) -> str:
        return _name(value)

    @field_validator("methods", "images")
    @classmethod
    def _distinct_names(cls, values: list[str]) -> list[str]:
        if len(set(values)) != len(values):
            raise ValueError("named twice")
        return [_name(value) for value in values]

    @model_validator(mode="after")
    def _counted(self) -> DatasetPart:
        if self.images and len(self.images) != self.count:
            raise ValueError(f"{len(self.images)} images are named, count says {self.count}")
        return self


class CalibrationPart(_Part):
    """Labelled examples, then a scored check.

    The paper (Section 3.3) shows NN as 1 and HR as 5 of 20 BSD300 training images and states no
    criterion; the check's criterion is this study's own.
    """

    dataset: str
    low: str = "nearest"
    high: str = "HR"
    images: Annotated[int, Field(ge=1)] = 20
    check_items: Annotated[int, Field(ge=2)] = 20
    pass_share: Share = 0.9
    low_at_most: Annotated[int, Field(ge=1, le=5)] = 2
    high_at_least: Annotated[int, Field(ge=1, le=5)] = 4
    attempts: Annotated[int, Field(ge=1, le=5)] = 2

    @field_validator("dataset", "low", "high")
    @classmethod
    def _checked(cls, value: str) -> str:
        return _name(value)


class PilotPart(_Part):
    """One method's images of one data set are shown twice, to measure how well raters repeat themselves."""

    dataset: str
    method: str
    minimum_distance: Annotated[int, Field(ge=1)] = 50
    equivalence_margin: Annotated[float, Field(gt=0)] = EQUIVALENCE_MARGIN
    within_one_at_least: Share = WITHIN_ONE_AT_LEAST
    """Go needs this share of repeated ratings within one step, besides equivalence."""


class OrderPart(_Part):
    """Block length follows from the number of blocks; distances count places in a rater's whole order."""

    blocks: Annotated[int, Field(ge=1)] = 6
    minimum_distance: Annotated[int, Field(ge=1)] = 6


class SubsetPart(_Part):
    """Every rater sees some images of each data set, in all versions (balanced incomplete blocks)."""

    images: Annotated[dict[str, Annotated[int, Field(ge=1)]], Field(min_length=1)]
    """Data set -> how many of its images one rater sees; data sets that are not named are seen whole."""


class RepeatsPart(_Part):
    """Some of a rater's items come a second time, drawn for each rater, to measure consistency."""

    count: Annotated[int, Field(ge=1)]
    minimum_distance: Annotated[int, Field(ge=1)] = 20


class AttentionPart(_Part):
    """Calibration images among the rated ones, whose answers are known; never analysed as votes."""

    count: Annotated[int, Field(ge=1)]


class RecruitingPart(_Part):
    """One open link for a panel: ``/mos/join?PROLIFIC_PID=...``."""

    id_parameter: Annotated[str, Field(pattern=r"^[A-Za-z_]{1,40}$")] = "PROLIFIC_PID"
    """Name of the address's parameter that holds the participant's id."""
    quota: Annotated[int, Field(ge=1, le=5000)]
    """Raters wanted; those who drop out or are excluded are replaced."""
    dropout_hours: Annotated[float, Field(gt=0)] = 2
    """Whoever has not answered for so long and is not through has dropped out."""
    completion_code: Annotated[str, Field(max_length=80)] = ""
    completion_url: Annotated[str, Field(pattern=r"^(https://[^\s\"'<>]+)?$")] = ""
    """Where raters go at the end; ``{code}`` stands for the completion code."""


class SchedulePart(_Part):
    """When the study takes raters; times with their offset from UTC."""

    opens: AwareDatetime | None = None
    closes: AwareDatetime | None = None


class BreakPart(_Part):
    """A break of ``minutes`` is enforced after ``after_minutes`` of rating (recalled from ITU-R BT.500)."""

    after_minutes: Annotated[float, Field(gt=0)] = 30
    minutes: Annotated[float, Field(ge=0)] = 5


class ScalePart(_Part):
    """What raters judge.

    ``acr``: each picture by itself (ITU-T P.910, absolute category rating; the paper's). ``dcr``: each
    picture beside its original, on the impairment scale (degradation category rating, also called DSIS).
    ``pair``: two versions side by side, which is better. ``slider``: each picture by itself, on a continuous
    scale (ITU-R BT.500) of 0 to 100 whose fifths bear the five words.
    """

    method: Literal["acr", "dcr", "pair", "slider"] = "acr"
    ties: bool = True
    """Whether "no difference" answers a pair."""
    pairs: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = []
    """Methods that are compared; where none are named, every two methods of a data set."""

    @property
    def beside(self) -> bool:
        """Whether two pictures stand side by side."""
        return self.method in ("dcr", "pair")

    @property
    def scores(self) -> tuple[int, ...]:
        """The answers that a rater can give: 1 to 5; to a pair :data:`LEFT`, :data:`TIE`, :data:`RIGHT`."""
        if self.method != "pair":
            return (1, 2, 3, 4, 5)
        return (LEFT, TIE, RIGHT) if self.ties else (LEFT, RIGHT)

    @model_validator(mode="after")
    def _paired(self) -> ScalePart:
        if self.method != "pair" and (self.pairs or not self.ties):
            raise ValueError('pairs and ties belong to method = "pair"')
        sets = [frozenset(pair) for pair in self.pairs]
        if any(len(pair) != 2 for pair in sets) or len(set(sets)) != len(sets):
            raise ValueError("a pair is two methods, named once")
        return self


class StagePart(_Part):
    """How an image is shown."""

    minimum_exposure_ms: Annotated[int, Field(ge=0, le=5000)] = 300
    """No answer counts earlier. More than 250 ms, so that a double click never reaches the next image."""
    gap_ms: Annotated[int, Field(ge=0, le=2000)] = 50
    """Plain grey between two images."""


Display = Literal["desktop", "laptop", "tablet", "phone"]
Vision = Literal["uncorrected", "corrected", "impaired", "not-told"]
ViewingRule = Literal["display", "vision", "squares", "window", "density", "acuity", "colour"]


class ViewingPart(_Part):
    """What a rater's screen and eyes have to be like; checked at the start and after every long pause.

    Rules named under ``refuse`` stop a rater, with the reason; the others let the rater go on, and every vote
    says ``viewing`` among its deviations.
    """

    displays: list[Display] = ["desktop", "laptop", "tablet", "phone"]
    visions: list[Vision] = ["uncorrected", "corrected", "not-told"]
    minimum_squares: Annotated[int, Field(ge=0, le=8)] = 0
    """Of the eight grey patches, how many inner squares have to be seen."""
    card: bool = False
    """Measure pixels per millimetre with a bank card held against the screen."""
    blind_spot: bool = False
    """Measure the distance by the blind spot (Li et al., 2020); without, raters are asked for it."""
    pixels_per_degree: tuple[float, float] | None = None
    """Least and greatest number of picture pixels in one degree of visual angle."""
    acuity: Annotated[float, Field(ge=0.1, le=2)] | None = None
    """Least decimal visual acuity, by eight Landolt rings (ISO 8596); needs the card and a distance."""
    colour_plates: Annotated[int, Field(ge=0, le=5)] = 0
    """Of five plates (one that everybody reads, two for the L and two for the M cones), how many to read."""
    magnification: Annotated[int, Field(ge=1, le=3)] = 1
    """Greatest whole factor by which a dense display repeats each picture pixel (nearest neighbour)."""
    refuse: list[ViewingRule] = ["window"]

    @field_validator("pixels_per_degree", mode="before")
    @classmethod
    def _pair(cls, value: object) -> object:
        return tuple(float(part) for part in value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _measurable(self) -> ViewingPart:
        if not self.displays or not self.visions:
            raise ValueError("no display or no vision is allowed")
        if self.pixels_per_degree is not None:
            if not self.card:
                raise ValueError("pixels_per_degree needs card = true")
            if not 0 < self.pixels_per_degree[0] < self.pixels_per_degree[1]:
                raise ValueError("pixels_per_degree is [least, greatest]")
        if self.blind_spot and not self.card:
            raise ValueError("blind_spot needs card = true")
        if self.acuity is not None and not self.card:
            raise ValueError("acuity needs card = true")
        return self

    @property
    def asks_distance(self) -> bool:
        """Whether raters are asked how far they sit, because it is needed and not measured."""
        return not self.blind_spot and (self.pixels_per_degree is not None or self.acuity is not None)


class ResumePart(_Part):
    """What a rater who comes back after a long pause goes through first."""

    hours: Annotated[float, Field(gt=0)] = 12
    warmups: Annotated[int, Field(ge=0, le=20)] = 5


class QualityPart(_Part):
    """Thresholds of the live quality control: they colour the admin's table, they exclude nobody."""

    fast_ms: Annotated[int, Field(ge=0)] = FAST_MS
    fast_share: Share = 0.2
    longest_run: Annotated[int, Field(ge=2)] = 20
    low_mean_at_most: float = 2.5
    high_mean_at_least: float = 3.5
    correlation_at_least: float = 0.5
    deviation_share: Share = 0.1
    leave_out: list[Deviation] = []
    """Display deviations whose votes are left out of MOS and analysis; they stay in every export."""


class ConsentPart(_Part):
    """What raters agree to; the version goes into the record of every rater.

    The text holds placeholders that are filled in from the design and from here (mos_app.study.facts).
    """

    version: Annotated[str, Field(min_length=1, max_length=40)]
    controller: str = ""
    """Who is responsible for the data."""
    contact: str = ""
    """Whom raters can ask, and tell that they withdraw."""
    retention: dict[str, str] = {}
    """How long data are kept, in each language."""
    text: dict[str, str]


class WithdrawalPart(_Part):
    """What happens to the votes of a rater who withdraws; personal answers are deleted in any case."""

    votes: Literal["delete", "anonymise"] = "delete"


class FrozenClaim(_Part):
    """A claim of the paper as it was when the study was made (:mod:`analysis.stats.claims`)."""

    key: str
    text: str
    datasets: list[str]
    methods: list[str]
    family: str
    test: str
    margin: float | None = None


class FrozenPart(_Part):
    """What `init` froze, and the SHA-256 of the study file with it."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    at: str
    raters: int
    exclusion: list[str]
    claims: list[FrozenClaim] = []


class PreregistrationPart(_Part):
    """What the study is to decide, and by which rules raters are left out."""

    claims: list[str] | None = None
    """Keys of the paper's claims; without, all that the study's methods allow."""
    exclusion: list[str] = []
    """Rules in sentences."""
    frozen: FrozenPart | None = None


class StudyConfig(_Part):
    """Everything that `init` needs to know. Unknown keys are errors."""

    name: str
    title: dict[str, str]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    languages: Annotated[list[Language], Field(min_length=1)] = ["en", "de"]
    raters: Annotated[int, Field(ge=1, le=2000)] = 26
    seconds_per_rating: Annotated[float, Field(gt=0)] = 3.5
    """For the time left, until the rater's own pace is known."""
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
    texts: dict[str, dict[str, Any]] = {}
    """Language -> texts in place of those that ship (question, words, ...), or a whole language."""
    closing_comment: bool = False
    """Whether raters are asked for a comment at the end."""

    @field_validator("name")
    @classmethod
    def _checked(cls, value: str) -> str:
        return _name(value)

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
        if max(map(len, (*names, *self.calibration_versions))) > _NAME_LENGTH:
            raise ValueError(f"scale pair: the names of a pair have more than {_NAME_LENGTH - 1} letters")

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


def parse_study(text: str, source: str, *, stored: bool = False) -> StudyConfig:
    """A checked configuration from TOML text.

    Args:
        text: the TOML.
        source: what to call it in messages.
        stored: whether it is that of a study that was made before, perhaps by a version with fewer texts.

    Raises:
        UserError: not TOML, unknown or missing keys, values out of range.
    """
    from mos_app.study.texts import problems_of_texts

    try:
        config = StudyConfig.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UserError(
            f"{source}: not TOML ({error})", "a study file", "compare it with a template"
        ) from None
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in problem['loc']) or 'study'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        ]
        raise UserError(
            f"{source}: {'; '.join(lines)}",
            "a study file like mos_app/study/templates/paper.toml",
            "correct the named keys",
        ) from None
    wrong = [] if stored else problems_of_texts(config)
    if wrong:
        raise UserError(
            f"{source}: {'; '.join(wrong[:5])}" + (f"; {len(wrong) - 5} more" if len(wrong) > 5 else ""),
            "every text of every language of the study, with the same {placeholders} as in English",
            "start from: python -m mos_app texts --language en",
        )
    return config


def read_study(path: Path) -> tuple[StudyConfig, str]:
    """The configuration in a TOML file, and the file's text as it stands."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read ({error})", "a TOML file in UTF-8", "check the path"
        ) from None
    return parse_study(text, str(path)), text


def read_template(name: str) -> tuple[StudyConfig, str]:
    """The shipped template ``paper``, ``pilot`` or ``demo``, and its text."""
    if name not in TEMPLATES:
        raise UserError(
            f"template {name!r}", "one of " + ", ".join(TEMPLATES), "name one, or pass --config FILE"
        )
    text = resources.files("mos_app.study").joinpath("templates", f"{name}.toml").read_text(encoding="utf-8")
    return parse_study(text, f"template {name}"), text
