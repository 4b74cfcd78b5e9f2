"""The rating study of Section 3.3: design, stage, votes and export. Knows no torch and no training.

Reading order: :mod:`mos_app.study.definition` (a study's file), :mod:`mos_app.study.order` (who sees what
when), :mod:`mos_app.db.votes` (the vote service), :mod:`mos_app.web.routes` (how votes come in),
``stage/stage.js`` (how pictures are shown), :mod:`mos_app.files.archive` (how the data leave). Imports point
downwards through :data:`LAYERS`.
"""

LAYERS = ("study", "db", "files", "stage", "web", "cli")
"""The folders, lowest first; a module imports from its own folder and from those before it."""
