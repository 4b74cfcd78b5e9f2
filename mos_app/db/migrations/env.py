"""Alembic's environment: migrations run on the connection that mos_app.db.engine hands over."""

from alembic import context

from mos_app.db.models import Base

connection = context.config.attributes.get("connection")
if connection is not None:
    context.configure(connection=connection, target_metadata=Base.metadata, transactional_ddl=True)
    context.run_migrations()
