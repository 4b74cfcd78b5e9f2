"""Where results lie: the one module that names files and folders under ``results/``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from repro.core.errors import UserError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ()_.+-]{0,79}")


def checked_name(name: str, what: str) -> str:
    """``name`` if it can be a file name anywhere and leads nowhere else; UserError otherwise."""
    if not _NAME.fullmatch(name) or ".." in name or name.endswith((".", " ")):
        raise UserError(
            f"{what} {name!r}", "letters, digits, spaces and ()_.+- (at most 80 characters)", "rename it"
        )
    return name


@dataclass(frozen=True)
class Results:
    """The layout of a results folder.

    ``images/<dataset>/<method>/<image>.png`` is the image store. What it holds is what raters see and
    what is scored. Method ``HR`` holds the originals, as RGB.
    """

    root: Path = Path("results")

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def metrics_csv(self) -> Path:
        return self.root / "metrics.csv"

    @property
    def tables(self) -> Path:
        return self.root / "tables"

    @property
    def figures(self) -> Path:
        return self.root / "figures"

    @property
    def bench(self) -> Path:
        return self.root / "bench"

    @property
    def weights(self) -> Path:
        return self.root / "weights"

    def method_folder(self, dataset: str, method: str) -> Path:
        """The folder of one method's images of one data set."""
        return self.images / checked_name(dataset, "data set") / checked_name(method, "method")

    def image(self, dataset: str, method: str, image: str) -> Path:
        """The PNG of one image by one method."""
        return self.method_folder(dataset, method) / f"{checked_name(image, 'image')}.png"

    def method_manifest(self, dataset: str, method: str) -> Path:
        """The manifest beside the images of one method."""
        return self.method_folder(dataset, method) / "manifest.json"
