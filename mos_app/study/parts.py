"""The parts of a study file, each checked by itself: data sets, scale, stage, viewing, consent and more."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from analysis.stats.defaults import EQUIVALENCE_MARGIN, FAST_MS, WITHIN_ONE_AT_LEAST
from mos_app.study.display import Deviation
from repro.core.errors import UserError
from repro.core.paths import checked_name

Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$")]

Share = Annotated[float, Field(ge=0, le=1)]

LEFT, TIE, RIGHT = 1, 2, 3
"""Answers to a pair, as scores."""

NAME_LENGTH = 80
"""Of a method or pair in the database."""


def pair_name(first: str, second: str) -> str:
    """What a pair of methods is called where a method's name stands otherwise (methods have no bar)."""
    return f"{first}|{second}"


def _file_name(value: str) -> str:
    try:
        return checked_name(value, "name")
    except UserError as error:
        raise ValueError(str(error)) from None


Name = Annotated[str, AfterValidator(_file_name)]
"""Of a study, data set, method or image: a name that files can have anywhere."""


class Part(BaseModel):
    """One part of a study file: unknown keys and values of another type are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DatasetPart(Part):
    """One rated data set: which methods, which images (all of the image store's if none are named)."""

    name: Name
    methods: Annotated[list[Name], Field(min_length=1)]
    images: list[Name] = []
    count: Annotated[int, Field(ge=1)]
    """How many images there have to be; `init` stops when the store holds another number."""

    @field_validator("methods", "images")
    @classmethod
    def _distinct(cls, values: list[str]) -> list[str]:
        if len(set(values)) != len(values):
            raise ValueError("named twice")
        return values

    @model_validator(mode="after")
    def _counted(self) -> DatasetPart:
        if self.images and len(self.images) != self.count:
            raise ValueError(f"{len(self.images)} images are named, count says {self.count}")
        return self


class CalibrationPart(Part):
    """Labelled examples, then a scored check.

    The paper (Section 3.3) shows NN as 1 and HR as 5 of 20 BSD300 training images and states no
    criterion; the check's criterion is this study's own.
    """

    dataset: Name
    low: Name = "nearest"
    high: Name = "HR"
    images: Annotated[int, Field(ge=1)] = 20
    check_items: Annotated[int, Field(ge=2)] = 20
    pass_share: Share = 0.9
    low_at_most: Annotated[int, Field(ge=1, le=5)] = 2
    high_at_least: Annotated[int, Field(ge=1, le=5)] = 4
    attempts: Annotated[int, Field(ge=1, le=5)] = 2


class PilotPart(Part):
    """One method's images of one data set are shown twice, to measure how well raters repeat themselves."""

    dataset: str
    method: str
    minimum_distance: Annotated[int, Field(ge=1)] = 50
    equivalence_margin: Annotated[float, Field(gt=0)] = EQUIVALENCE_MARGIN
    within_one_at_least: Share = WITHIN_ONE_AT_LEAST
    """Go needs this share of repeated ratings within one step, besides equivalence."""


class OrderPart(Part):
    """Block length follows from the number of blocks; distances count places in a rater's whole order."""

    blocks: Annotated[int, Field(ge=1)] = 6
    minimum_distance: Annotated[int, Field(ge=1)] = 6


class SubsetPart(Part):
    """Every rater sees some images of each data set, in all versions (balanced incomplete blocks)."""

    images: Annotated[dict[str, Annotated[int, Field(ge=1)]], Field(min_length=1)]
    """Data set -> how many of its images one rater sees; data sets that are not named are seen whole."""


class RepeatsPart(Part):
    """Some of a rater's items come a second time, drawn for each rater, to measure consistency."""

    count: Annotated[int, Field(ge=1)]
    minimum_distance: Annotated[int, Field(ge=1)] = 20


class AttentionPart(Part):
    """Calibration images among the rated ones, whose answers are known; never analysed as votes."""

    count: Annotated[int, Field(ge=1)]


class RecruitingPart(Part):
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


class SchedulePart(Part):
    """When the study takes raters; times with their offset from UTC."""

    opens: AwareDatetime | None = None
    closes: AwareDatetime | None = None


class BreakPart(Part):
    """A break of ``minutes`` is enforced after ``after_minutes`` of rating (recalled from ITU-R BT.500)."""

    after_minutes: Annotated[float, Field(gt=0)] = 30
    minutes: Annotated[float, Field(ge=0)] = 5


class ScalePart(Part):
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


class StagePart(Part):
    """How an image is shown."""

    minimum_exposure_ms: Annotated[int, Field(ge=0, le=5000)] = 300
    """No answer counts earlier. More than 250 ms, so that a double click never reaches the next image."""
    gap_ms: Annotated[int, Field(ge=0, le=2000)] = 50
    """Plain grey between two images."""


Display = Literal["desktop", "laptop", "tablet", "phone"]
Vision = Literal["uncorrected", "corrected", "impaired", "not-told"]
ViewingRule = Literal["display", "vision", "squares", "window", "density", "acuity", "colour"]


class ViewingPart(Part):
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


class ResumePart(Part):
    """What a rater who comes back after a long pause goes through first."""

    hours: Annotated[float, Field(gt=0)] = 12
    warmups: Annotated[int, Field(ge=0, le=20)] = 5


class QualityPart(Part):
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


class ConsentPart(Part):
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


class WithdrawalPart(Part):
    """What happens to the votes of a rater who withdraws; personal answers are deleted in any case."""

    votes: Literal["delete", "anonymise"] = "delete"


class FrozenClaim(Part):
    """A claim of the paper as it was when the study was made (:mod:`analysis.stats.claims`)."""

    key: str
    text: str
    datasets: list[str]
    methods: list[str]
    family: str
    test: str
    margin: float | None = None


class FrozenPart(Part):
    """What `init` froze, and the SHA-256 of the study file with it."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    at: str
    raters: int
    exclusion: list[str]
    claims: list[FrozenClaim] = []


class PreregistrationPart(Part):
    """What the study is to decide, and by which rules raters are left out."""

    claims: list[str] | None = None
    """Keys of the paper's claims; without, all that the study's methods allow."""
    exclusion: list[str] = []
    """Rules in sentences."""
    frozen: FrozenPart | None = None
