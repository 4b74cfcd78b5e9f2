"""Pairs of pictures, positions on a slider, and the reference images behind a study's stimuli."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Adds the columns."""
    for name in ("first_id", "second_id"):
        # Alembic adds no references on SQLite
        op.execute(f"ALTER TABLE stimulus ADD COLUMN {name} INTEGER REFERENCES stimulus (id)")
    op.add_column(
        "presentation", sa.Column("swapped", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    for table in ("vote", "withdrawn_vote"):
        op.add_column(table, sa.Column("slider", sa.Integer(), nullable=True))
    op.add_column("study", sa.Column("reference_images", sa.Text(), nullable=False, server_default="{}"))
