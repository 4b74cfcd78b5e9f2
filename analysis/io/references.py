"""``results/references.csv``: what reference images brought, by their kind."""

from __future__ import annotations

import pandas as pd

from analysis.io.csvfile import read_text_csv
from repro.core.errors import UserError
from repro.core.paths import Results

COLUMNS = ("method", "dataset", "image", "kind", "reference", "psnr_db", "ssim", "niqe", "protocol")
COMMAND = "python -m repro references"
KINDS = ("none", "same", "similar", "unrelated", "noise")
"""From nothing beside LR to the original itself, and on to what cannot help."""


def read_references(results: Results) -> pd.DataFrame | None:
    """The rows of ``references.csv``, typed, in the file's order; None where there is no such file.

    Raises:
        UserError: columns missing, cells that are no numbers, or an unknown kind.
    """
    path = results.root / "references.csv"
    if not path.is_file():
        return None
    frame = read_text_csv(path, COLUMNS, COMMAND)
    for name in ("psnr_db", "ssim", "niqe"):
        values = pd.to_numeric(frame[name], errors="coerce")
        if values.isna().any():
            raise UserError(f"{path}: {name} {frame[name][values.isna()].iloc[0]!r}", "a number", COMMAND)
        frame[name] = values
    unknown = frame[~frame["kind"].isin(KINDS)]
    if not unknown.empty:
        raise UserError(f"{path}: kind {unknown['kind'].iloc[0]!r}", ", ".join(KINDS), COMMAND)
    return frame


def gains(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with ``gain_db``: PSNR over that of the same method and image without a reference."""
    key = ["method", "dataset", "image"]
    none = frame[frame["kind"] == "none"].drop_duplicates(key).set_index(key)["psnr_db"].rename("none_db")
    joined = frame.join(none, on=key)
    return joined.assign(gain_db=joined["psnr_db"] - joined["none_db"]).drop(columns="none_db")
