"""The first schema, with the triggers that keep answers and events from being changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SQLITE_TRIGGERS = (
    """CREATE TRIGGER vote_is_immutable BEFORE UPDATE ON vote
       BEGIN SELECT RAISE(ABORT, 'votes are immutable'); END""",
    """CREATE TRIGGER vote_is_kept BEFORE DELETE ON vote
       WHEN NOT EXISTS (SELECT 1 FROM withdrawn_vote w
                        WHERE w.presentation_id = OLD.presentation_id AND w.nonce = OLD.nonce)
       BEGIN SELECT RAISE(ABORT, 'a vote is deleted only after its copy is withdrawn'); END""",
    """CREATE TRIGGER withdrawn_is_immutable BEFORE UPDATE ON withdrawn_vote
       BEGIN SELECT RAISE(ABORT, 'withdrawn votes are immutable'); END""",
    """CREATE TRIGGER withdrawn_is_kept BEFORE DELETE ON withdrawn_vote
       BEGIN SELECT RAISE(ABORT, 'withdrawn votes are kept'); END""",
    """CREATE TRIGGER event_is_immutable BEFORE UPDATE ON event
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER event_is_kept BEFORE DELETE ON event
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
)

_POSTGRESQL_TRIGGERS = (
    """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION '% of % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = '23514'; END $$""",
    """CREATE FUNCTION keep_vote() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN
         IF NOT EXISTS (SELECT 1 FROM withdrawn_vote w
                        WHERE w.presentation_id = OLD.presentation_id AND w.nonce = OLD.nonce)
         THEN RAISE EXCEPTION 'a vote is deleted only after its copy is withdrawn' USING ERRCODE = '23514';
         END IF;
         RETURN OLD;
       END $$""",
    "CREATE TRIGGER vote_is_immutable BEFORE UPDATE ON vote FOR EACH ROW EXECUTE FUNCTION refuse()",
    "CREATE TRIGGER vote_is_kept BEFORE DELETE ON vote FOR EACH ROW EXECUTE FUNCTION keep_vote()",
    """CREATE TRIGGER withdrawn_is_immutable BEFORE UPDATE OR DELETE ON withdrawn_vote
       FOR EACH ROW EXECUTE FUNCTION refuse()""",
    """CREATE TRIGGER event_is_immutable BEFORE UPDATE OR DELETE ON event
       FOR EACH ROW EXECUTE FUNCTION refuse()""",
)


def upgrade() -> None:
    """Creates the tables and the triggers of the dialect in use."""
    op.create_table(
        "image",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.CheckConstraint("width > 0 AND height > 0", name="image_has_a_size"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("dataset", "name", name="image_once"),
    )
    op.create_table(
        "rater",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("consent_version", sa.String(length=40), nullable=False),
        sa.Column("consent_sha256", sa.String(length=64), nullable=False),
        sa.Column("consent_ms", sa.BigInteger(), nullable=True),
        sa.Column("age_band", sa.String(length=20), nullable=False),
        sa.Column("vision", sa.String(length=20), nullable=False),
        sa.Column("display", sa.String(length=20), nullable=False),
        sa.Column("viewing_ms", sa.BigInteger(), nullable=True),
        sa.Column("viewing", sa.Text(), nullable=False),
        sa.Column("instructed_ms", sa.BigInteger(), nullable=True),
        sa.Column("sitting_started_ms", sa.BigInteger(), nullable=True),
        sa.Column("check_attempt", sa.Integer(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("excluded", sa.Boolean(), nullable=False),
        sa.CheckConstraint("number > 0", name="rater_number_positive"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
        sa.UniqueConstraint("number"),
    )
    op.create_table(
        "study",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("config_toml", sa.Text(), nullable=False),
        sa.Column("left_out", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("order_algorithm", sa.String(length=40), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.Column("servable", sa.Boolean(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name="only_one_study"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=10), nullable=False),
        sa.Column("rater_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint("actor IN ('rater', 'admin', 'command', 'server')", name="known_actor"),
        sa.ForeignKeyConstraint(
            ["rater_id"],
            ["rater.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("event_by_kind", "event", ["kind", "at_ms"], unique=False)
    op.create_table(
        "invite",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rater_id", sa.Integer(), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["rater_id"],
            ["rater.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_sha256"),
    )
    op.create_index("ix_invite_rater_id", "invite", ["rater_id"], unique=False)
    op.create_table(
        "stimulus",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(length=80), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("source_sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["image.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("image_id", "method", name="version_once"),
    )
    op.create_table(
        "presentation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rater_id", sa.Integer(), nullable=False),
        sa.Column("stimulus_id", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(length=10), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("repeat", sa.Integer(), nullable=False),
        sa.Column("block", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("showing", sa.Integer(), nullable=False),
        sa.CheckConstraint("phase IN ('example', 'check', 'warmup', 'rating')", name="known_phase"),
        sa.CheckConstraint("position > 0 AND block > 0 AND attempt > 0", name="places_count_from_one"),
        sa.CheckConstraint("repeat IN (0, 1)", name="at_most_one_repeat"),
        sa.ForeignKeyConstraint(
            ["rater_id"],
            ["rater.id"],
        ),
        sa.ForeignKeyConstraint(
            ["stimulus_id"],
            ["stimulus.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("rater_id", "phase", "attempt", "position", name="one_presentation_per_place"),
        sa.UniqueConstraint(
            "rater_id", "phase", "attempt", "stimulus_id", "repeat", name="each_showing_once_per_rater"
        ),
    )
    op.create_table(
        "vote",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("presentation_id", sa.Integer(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("showing", sa.Integer(), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("response_ms", sa.Integer(), nullable=False),
        sa.Column("answered_ms", sa.BigInteger(), nullable=False),
        sa.Column("surface", sa.String(length=10), nullable=False),
        sa.Column("pixel_ratio", sa.Float(precision=53), nullable=True),
        sa.Column("rect_left", sa.Float(precision=53), nullable=True),
        sa.Column("rect_top", sa.Float(precision=53), nullable=True),
        sa.Column("rect_width", sa.Float(precision=53), nullable=True),
        sa.Column("rect_height", sa.Float(precision=53), nullable=True),
        sa.Column("zoom", sa.Float(precision=53), nullable=True),
        sa.Column("window_width", sa.Integer(), nullable=True),
        sa.Column("window_height", sa.Integer(), nullable=True),
        sa.Column("screen_width", sa.Integer(), nullable=True),
        sa.Column("screen_height", sa.Integer(), nullable=True),
        sa.Column("hidden", sa.Boolean(), nullable=True),
        sa.Column("deviations", sa.String(length=80), nullable=False),
        sa.CheckConstraint("response_ms >= 0", name="response_not_negative"),
        sa.CheckConstraint("score BETWEEN 1 AND 5", name="score_from_1_to_5"),
        sa.ForeignKeyConstraint(
            ["presentation_id"],
            ["presentation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("presentation_id"),
    )
    op.create_table(
        "withdrawn_vote",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("presentation_id", sa.Integer(), nullable=False),
        sa.Column("withdrawn_ms", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("showing", sa.Integer(), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("response_ms", sa.Integer(), nullable=False),
        sa.Column("answered_ms", sa.BigInteger(), nullable=False),
        sa.Column("surface", sa.String(length=10), nullable=False),
        sa.Column("pixel_ratio", sa.Float(precision=53), nullable=True),
        sa.Column("rect_left", sa.Float(precision=53), nullable=True),
        sa.Column("rect_top", sa.Float(precision=53), nullable=True),
        sa.Column("rect_width", sa.Float(precision=53), nullable=True),
        sa.Column("rect_height", sa.Float(precision=53), nullable=True),
        sa.Column("zoom", sa.Float(precision=53), nullable=True),
        sa.Column("window_width", sa.Integer(), nullable=True),
        sa.Column("window_height", sa.Integer(), nullable=True),
        sa.Column("screen_width", sa.Integer(), nullable=True),
        sa.Column("screen_height", sa.Integer(), nullable=True),
        sa.Column("hidden", sa.Boolean(), nullable=True),
        sa.Column("deviations", sa.String(length=80), nullable=False),
        sa.CheckConstraint("score BETWEEN 1 AND 5", name="withdrawn_score_from_1_to_5"),
        sa.ForeignKeyConstraint(
            ["presentation_id"],
            ["presentation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("presentation_id", "showing", name="withdrawn_once"),
    )
    dialect = op.get_bind().dialect.name
    for statement in {"sqlite": _SQLITE_TRIGGERS, "postgresql": _POSTGRESQL_TRIGGERS}.get(dialect, ()):
        op.execute(statement)
