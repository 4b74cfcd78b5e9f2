"""Viewing checks kept per session; magnification and exposures of every answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds the table and the columns (empty for answers given before)."""
    op.create_table(
        "viewing_session",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rater_id", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("measured", sa.Text(), nullable=False),
        sa.Column("problems", sa.String(length=80), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_viewing_session_rater_id", "viewing_session", ["rater_id"], unique=False)
    for table in ("vote", "withdrawn_vote"):
        op.add_column(table, sa.Column("magnification", sa.Integer(), nullable=True))
        op.add_column(table, sa.Column("exposures", sa.Integer(), nullable=True))
