"""Raters may have their answers erased: the triggers let votes go where the rater is marked so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ERASED = """EXISTS (SELECT 1 FROM presentation p JOIN rater r ON r.id = p.rater_id
                             WHERE p.id = OLD.presentation_id AND r.erased_ms IS NOT NULL)"""

_SQLITE = (
    "DROP TRIGGER vote_is_kept",
    "DROP TRIGGER withdrawn_is_kept",
    f"""CREATE TRIGGER vote_is_kept BEFORE DELETE ON vote
       WHEN NOT EXISTS (SELECT 1 FROM withdrawn_vote w
                        WHERE w.presentation_id = OLD.presentation_id AND w.nonce = OLD.nonce)
            AND NOT {_ERASED}
       BEGIN SELECT RAISE(ABORT, 'a vote is deleted only when it is withdrawn or its rater erased'); END""",  # noqa: S608
    f"""CREATE TRIGGER withdrawn_is_kept BEFORE DELETE ON withdrawn_vote
       WHEN NOT {_ERASED}
       BEGIN SELECT RAISE(ABORT, 'withdrawn votes are kept'); END""",
)

_POSTGRESQL = (
    f"""CREATE OR REPLACE FUNCTION keep_vote() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN
         IF NOT EXISTS (SELECT 1 FROM withdrawn_vote w
                        WHERE w.presentation_id = OLD.presentation_id AND w.nonce = OLD.nonce)
            AND NOT {_ERASED}
         THEN RAISE EXCEPTION 'a vote is deleted only when it is withdrawn or its rater erased'
              USING ERRCODE = '23514';
         END IF;
         RETURN OLD;
       END $$""",  # noqa: S608
    f"""CREATE FUNCTION keep_withdrawn() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN
         IF NOT {_ERASED}
         THEN RAISE EXCEPTION 'withdrawn votes are kept' USING ERRCODE = '23514';
         END IF;
         RETURN OLD;
       END $$""",
    "DROP TRIGGER withdrawn_is_immutable ON withdrawn_vote",
    """CREATE TRIGGER withdrawn_is_immutable BEFORE UPDATE ON withdrawn_vote
       FOR EACH ROW EXECUTE FUNCTION refuse()""",
    """CREATE TRIGGER withdrawn_is_kept BEFORE DELETE ON withdrawn_vote
       FOR EACH ROW EXECUTE FUNCTION keep_withdrawn()""",
)


def upgrade() -> None:
    """Adds ``rater.erased_ms`` and renews the triggers."""
    op.add_column("rater", sa.Column("erased_ms", sa.BigInteger(), nullable=True))
    dialect = op.get_bind().dialect.name
    for statement in {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}.get(dialect, ()):
        op.execute(statement)
