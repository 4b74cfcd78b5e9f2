"""``python -m repro evaluate``."""

from __future__ import annotations

from pathlib import Path

from repro.cli import common
from repro.progress import bar


def evaluate(results: common.ResultsOption = Path("results"), dry_run: common.DryRunOption = False) -> None:
    """Score every image of the store, and only those, into `results/metrics.csv`.

    Both protocols: `daala` (the paper's: luma as daala's tools make it, 4 pixels shaved) and `wang` (what
    most papers report). The file is in long format; its columns are explained in `results/README.md`.
    """
    from repro.evaluate import PROTOCOLS, stored_images
    from repro.evaluate import evaluate as evaluate_store

    out = common.console()
    layout = common.results_layout(results)
    total = sum(1 for _ in stored_images(layout))
    if dry_run:
        out.print(f"{total} images in {layout.images} would be scored")
        return
    with bar(out, "scoring", total * len(PROTOCOLS)) as advance:
        count = evaluate_store(layout, advance)
    out.print(f"{count} images scored under {' and '.join(PROTOCOLS)}")
    common.finished(out, layout.metrics_csv)
