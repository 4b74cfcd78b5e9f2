"""The tables. A wrong state is refused by the database itself, not only by the code above it.

Times are milliseconds since 1970, UTC, as integers: the same in SQLite and PostgreSQL, to the bit.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

PHASES = ("example", "check", "warmup", "rating")
ACTORS = ("rater", "admin", "command", "server")


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


class Base(DeclarativeBase):
    """All tables of one study; one database holds one study."""


class Study(Base):
    """The one study of this database."""

    __tablename__ = "study"
    __table_args__ = (CheckConstraint("id = 1", name="only_one_study"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    config_toml: Mapped[str] = mapped_column(Text)
    left_out: Mapped[str] = mapped_column(Text)
    """JSON list of [data set, method] that `init` was told to go on without."""
    seed: Mapped[int] = mapped_column(BigInteger)
    order_algorithm: Mapped[str] = mapped_column(String(40))
    secret: Mapped[str] = mapped_column(String(64))
    synthetic: Mapped[bool]
    servable: Mapped[bool]
    """Whether the study's folder has the stimuli (not so for simulated and imported studies)."""
    created_ms: Mapped[int] = mapped_column(BigInteger)
    closed_ms: Mapped[int | None] = mapped_column(BigInteger)
    """When `close` ended the study; empty while it runs."""
    reference_images: Mapped[str] = mapped_column(Text, default="{}")
    """JSON: data set -> method -> name of a reference image that it was given -> SHA-256."""


class Image(Base):
    """An image of which there are several versions."""

    __tablename__ = "image"
    __table_args__ = (
        UniqueConstraint("dataset", "name", name="image_once"),
        CheckConstraint("width > 0 AND height > 0", name="image_has_a_size"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset: Mapped[str] = mapped_column(String(80))
    name: Mapped[str] = mapped_column(String(80))
    width: Mapped[int]
    height: Mapped[int]


class Stimulus(Base):
    """One version of one image, whose file is called by its hash; or a pair of versions of one image."""

    __tablename__ = "stimulus"
    __table_args__ = (UniqueConstraint("image_id", "method", name="version_once"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    method: Mapped[str] = mapped_column(String(80))
    sha256: Mapped[str] = mapped_column(String(64))
    """Of the PNG that is served; empty in simulated studies, which have no images."""
    source_sha256: Mapped[str] = mapped_column(String(64))
    """Of the PNG in the image store that it was made from."""
    first_id: Mapped[int | None] = mapped_column(ForeignKey("stimulus.id"))
    second_id: Mapped[int | None] = mapped_column(ForeignKey("stimulus.id"))
    """Of a pair: its two versions; ``method`` names both, and the pair has no hash of its own."""


class Rater(Base):
    """One rater, known by a pseudonym."""

    __tablename__ = "rater"
    __table_args__ = (CheckConstraint("number > 0", name="rater_number_positive"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    code: Mapped[str] = mapped_column(String(20), unique=True)
    synthetic: Mapped[bool]
    language: Mapped[str] = mapped_column(String(8), default="")
    consent_version: Mapped[str] = mapped_column(String(40), default="")
    consent_sha256: Mapped[str] = mapped_column(String(64), default="")
    consent_ms: Mapped[int | None] = mapped_column(BigInteger)
    age_band: Mapped[str] = mapped_column(String(20), default="")
    vision: Mapped[str] = mapped_column(String(20), default="")
    display: Mapped[str] = mapped_column(String(20), default="")
    viewing_ms: Mapped[int | None] = mapped_column(BigInteger)
    viewing: Mapped[str] = mapped_column(Text, default="")
    instructed_ms: Mapped[int | None] = mapped_column(BigInteger)
    sitting_started_ms: Mapped[int | None] = mapped_column(BigInteger)
    check_attempt: Mapped[int] = mapped_column(default=1)
    flagged: Mapped[bool] = mapped_column(default=False)
    """Failed the last attempt at the calibration check."""
    excluded: Mapped[bool] = mapped_column(default=False)
    """An admin's decision, reversible; the events say who, when and why."""
    form: Mapped[int] = mapped_column(default=0)
    """Which subset of the images the rater sees (mos_app.study.order); 0 where everybody sees all."""
    comment: Mapped[str] = mapped_column(Text, default="")
    """What the rater said at the end."""
    completed_ms: Mapped[int | None] = mapped_column(BigInteger)
    panel_id: Mapped[str | None] = mapped_column(String(100), unique=True, index=True)
    """The participant's name at a recruiting panel; never exported."""
    erased_ms: Mapped[int | None] = mapped_column(BigInteger)
    """When the rater withdrew from the study: answers were deleted or made anonymous then."""


class Invite(Base):
    """A link that lets one rater in; only the token's hash is here."""

    __tablename__ = "invite"

    id: Mapped[int] = mapped_column(primary_key=True)
    rater_id: Mapped[int] = mapped_column(ForeignKey("rater.id"), index=True)
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_ms: Mapped[int] = mapped_column(BigInteger)
    revoked_ms: Mapped[int | None] = mapped_column(BigInteger)


class Presentation(Base):
    """One showing of one stimulus to one rater, in its place of the rater's order."""

    __tablename__ = "presentation"
    __table_args__ = (
        UniqueConstraint("rater_id", "phase", "attempt", "position", name="one_presentation_per_place"),
        UniqueConstraint(
            "rater_id", "phase", "attempt", "stimulus_id", "repeat", name="each_showing_once_per_rater"
        ),
        CheckConstraint(_one_of("phase", PHASES), name="known_phase"),
        CheckConstraint("repeat IN (0, 1)", name="at_most_one_repeat"),
        CheckConstraint("position > 0 AND block > 0 AND attempt > 0", name="places_count_from_one"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    rater_id: Mapped[int] = mapped_column(ForeignKey("rater.id"))
    stimulus_id: Mapped[int] = mapped_column(ForeignKey("stimulus.id"))
    phase: Mapped[str] = mapped_column(String(10))
    attempt: Mapped[int] = mapped_column(default=1)
    repeat: Mapped[int] = mapped_column(default=0)
    block: Mapped[int] = mapped_column(default=1)
    position: Mapped[int]
    showing: Mapped[int] = mapped_column(default=1)
    """Counts up when the answer is taken back, so that names given out for the old showing are dead."""
    swapped: Mapped[bool] = mapped_column(default=False)
    """Of a pair: whether its second version stands on the left."""


class AnswerColumns:
    """What is recorded with every answer, valid or withdrawn."""

    score: Mapped[int]
    """1 to 5; of a pair 1 (left), 2 (no difference) or 3 (right)."""
    slider: Mapped[int | None]
    """Position on a continuous scale, 0 to 100; ``score`` is the fifth that it is in."""
    showing: Mapped[int]
    nonce: Mapped[str] = mapped_column(String(64))
    """Made by the stage for one key press: the same in every retry of it."""
    response_ms: Mapped[int]
    """From the image's second frame on screen to the answer."""
    answered_ms: Mapped[int] = mapped_column(BigInteger)
    """When the server received it."""
    surface: Mapped[str] = mapped_column(String(10))
    """``stage``, ``plain`` (the fallback without a bundle) or ``synthetic``."""
    pixel_ratio: Mapped[float | None] = mapped_column(Float(53))
    rect_left: Mapped[float | None] = mapped_column(Float(53))
    rect_top: Mapped[float | None] = mapped_column(Float(53))
    rect_width: Mapped[float | None] = mapped_column(Float(53))
    rect_height: Mapped[float | None] = mapped_column(Float(53))
    """The image's rectangle in device pixels."""
    zoom: Mapped[float | None] = mapped_column(Float(53))
    """Pinch zoom (the browser's own zoom changes the pixel ratio and is harmless here)."""
    window_width: Mapped[int | None]
    window_height: Mapped[int | None]
    screen_width: Mapped[int | None]
    screen_height: Mapped[int | None]
    hidden: Mapped[bool | None]
    """Whether the page was out of sight at any time while the image was on it."""
    magnification: Mapped[int | None]
    """Device pixels per picture pixel, in each direction."""
    exposures: Mapped[int | None]
    """How often the picture was put on the screen until it was answered."""
    deviations: Mapped[str] = mapped_column(String(80), default="")
    """Space-separated: what was not as it should be (see mos_app.study.display)."""


class Vote(AnswerColumns, Base):
    """The one valid answer to a presentation. Immutable; deleting needs a copy among the withdrawn."""

    __tablename__ = "vote"
    __table_args__ = (
        CheckConstraint("score BETWEEN 1 AND 5", name="score_from_1_to_5"),
        CheckConstraint("response_ms >= 0", name="response_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    presentation_id: Mapped[int] = mapped_column(ForeignKey("presentation.id"), unique=True)


class WithdrawnVote(AnswerColumns, Base):
    """An answer that its rater took back."""

    __tablename__ = "withdrawn_vote"
    __table_args__ = (
        UniqueConstraint("presentation_id", "showing", name="withdrawn_once"),
        CheckConstraint("score BETWEEN 1 AND 5", name="withdrawn_score_from_1_to_5"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    presentation_id: Mapped[int] = mapped_column(ForeignKey("presentation.id"))
    withdrawn_ms: Mapped[int] = mapped_column(BigInteger)


class Event(Base):
    """The audit log. Append-only: triggers refuse to change or delete a row."""

    __tablename__ = "event"
    __table_args__ = (
        CheckConstraint(_one_of("actor", ACTORS), name="known_actor"),
        Index("event_by_kind", "kind", "at_ms"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(String(10))
    rater_id: Mapped[int | None] = mapped_column(ForeignKey("rater.id"))
    kind: Mapped[str] = mapped_column(String(40))
    detail: Mapped[str] = mapped_column(Text, default="{}")
    """JSON."""


class ViewingSession(Base):
    """One viewing check of a rater: at the start, and again after every long pause."""

    __tablename__ = "viewing_session"

    id: Mapped[int] = mapped_column(primary_key=True)
    rater_id: Mapped[int] = mapped_column(ForeignKey("rater.id"), index=True)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    measured: Mapped[str] = mapped_column(Text)
    """JSON: see mos_app.study.viewing."""
    problems: Mapped[str] = mapped_column(String(80), default="")
    """Space-separated rules of the study that it broke."""
    refused: Mapped[bool]


class LoginAttempt(Base):
    """An attempt at the admin's password in the last minutes; never exported."""

    __tablename__ = "login_attempt"

    id: Mapped[int] = mapped_column(primary_key=True)
    client: Mapped[str] = mapped_column(String(40), index=True)
    """Keyed hash of the client's address."""
    at_ms: Mapped[int] = mapped_column(BigInteger)


class AdminSession(Base):
    """A browser in which the admin is logged in; never exported."""

    __tablename__ = "admin_session"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    expires_ms: Mapped[int] = mapped_column(BigInteger)
