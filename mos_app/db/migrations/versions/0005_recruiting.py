"""Open links, subsets, closing comments, completion, and studies that are closed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Adds the columns."""
    op.add_column("rater", sa.Column("form", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("rater", sa.Column("comment", sa.Text(), nullable=False, server_default=""))
    op.add_column("rater", sa.Column("completed_ms", sa.BigInteger(), nullable=True))
    op.add_column("rater", sa.Column("panel_id", sa.String(length=100), nullable=True))
    op.create_index("ix_rater_panel_id", "rater", ["panel_id"], unique=True)
    op.add_column("study", sa.Column("closed_ms", sa.BigInteger(), nullable=True))
