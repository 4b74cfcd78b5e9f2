"""The sources of images and weights: one table, and the list of every file with its SHA-256 and size.

The data root has the upstream layout: a folder per repository, and inside it the repository's own paths.
``files.csv`` beside this module is the list. It is made again, from a data root with a ``SHA256SUMS``, by

    python -m repro.data.sources DATA_ROOT

Not listed: ``ratings/`` (a published study's raw ratings). They are no images, come from no repository
of the table and serve only to test statistics, so nobody needs to fetch them and ``verify`` ignores them.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from repro.core.atomic import write_text
from repro.core.csvfile import csv_text
from repro.core.errors import UserError

BASE_URL = "https://raw.githubusercontent.com"
"""Serves single files of public repositories as ``/<owner>/<repository>/<commit>/<path>``."""

FILE_LIST = Path(__file__).with_name("files.csv")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COLUMNS = ["path", "sha256", "size", "source"]


@dataclass(frozen=True)
class Source:
    """A group of files of one upstream repository.

    Attributes:
        name: what ``--only`` takes.
        repository: owner/name of the public repository.
        commit: the commit whose files were hashed.
        folder: the folder under the data root that holds these files; no other source has files in it.
        licence: what their owners ask.
        purpose: what the suite does with them.
    """

    name: str
    repository: str
    commit: str
    folder: str
    licence: str
    purpose: str

    @property
    def root(self) -> str:
        """The folder of the data root that stands for the repository's own root."""
        return PurePosixPath(self.folder).parts[0]


_SELFEXSR = ("jbhuang0604/SelfExSR", "8f6dd8c1d20cb7e8792a7177b4f6fd677633f598")
_BSDS500 = ("BIDS/BSDS500", "a04b7c6c3a9f0ace74bf205c72a43d32e1c72722")
_IMAGENET = ("EliSchwartz/imagenet-sample-images", "bc69043e2862758a1906c6a24a792bb28c6bb2ff")
_AUTHORS = ("owenqyzhang/Super-Resolution", "d003331d87cbe193a91fb1c11834adf3f2e090d9")
_REFESR = ("junjun-jiang/RefESR", "d8fe91a4f3fb0bcc7c394bf2f47dbb3f83cb9dd2")
_SRCNN = ("Piyush3dB/SR-convnet", "a95ab414a5b42c4483e034d8b133e893a73b53fb")
_RCAN = ("yulunzhang/RCAN", "f722e5d0e1eff45148bfaefd9bc85c6f0f26ce02")
_SAN = ("daitao/SAN", "7c1e61f0d17b58e3400a14e631d9185dde1881b6")
_SRFBN = ("SreeHarshaNelaturu/SRFBN_CVPR19", "6ace659b743cea7ae1fc20ba4a505ee2fd7c75f9")
_ESRGAN = ("xinntao/ESRGAN", "73e9b634cf987f5996ac2dd33f4050922398a921")
_SRNTT = ("yeoyi519/SRNTT", "6d200fdddd9a438dee40113e7a495f9c9b667007")
_RESEARCH = "research use only"

SOURCES: tuple[Source, ...] = (
    Source("Set5", *_SELFEXSR, "SelfExSR/data/Set5/image_SRF_4", _RESEARCH, "test images, x4 HR and LR"),
    Source("Set14", *_SELFEXSR, "SelfExSR/data/Set14/image_SRF_4", _RESEARCH, "test images, x4 HR and LR"),
    Source("BSD100", *_SELFEXSR, "SelfExSR/data/BSD100/image_SRF_4", _RESEARCH, "test images, x4 HR and LR"),
    Source(
        "BSDS500-train",
        *_BSDS500,
        "BSDS500/BSDS500/data/images/train",
        "non-commercial research and education",
        "training; 20 of them calibrate raters",
    ),
    Source(
        "BSDS500-test",
        *_BSDS500,
        "BSDS500/BSDS500/data/images/test",
        "non-commercial research and education",
        "training (the val split is BSD100 and is left out)",
    ),
    Source(
        "imagenet-sample",
        *_IMAGENET,
        "imagenet-sample",
        "non-commercial research and education",
        "training: 506 ImageNet photographs",
    ),
    Source(
        "SRResNet-authors",
        *_AUTHORS,
        "Super-Resolution/result/SRResNet/images",
        _RESEARCH,
        "reference results: SRResNet-MSE by the paper's authors",
    ),
    Source(
        "SRGAN-authors",
        *_AUTHORS,
        "Super-Resolution/result/SRGAN/images",
        _RESEARCH,
        "reference results: SRGAN-VGG54 by the paper's authors",
    ),
    Source(
        "Huang-results",
        *_REFESR,
        "RefESR/Set5/Set5_SR",
        _RESEARCH,
        "reference results on Set5: nearest, bicubic, SRCNN, SelfExSR and others",
    ),
    Source("DRCN-results", *_REFESR, "RefESR/Set5/DRCN_Set5_x4", _RESEARCH, "reference results on Set5"),
    Source("VDSR-results", *_REFESR, "RefESR/Set5/VDSR_Set5_x4", _RESEARCH, "reference results on Set5"),
    Source(
        "SRCNN-weights",
        *_SRCNN,
        "SR-convnet/model/9-1-5(91 images)",
        _RESEARCH,
        "SRCNN 9-1-5 by its authors, the model of Table 2",
    ),
    Source("RCAN", *_RCAN, "RCAN/RCAN_TestCode", _RESEARCH, "Set5 at x2 and x4: HR, and RCAN's results"),
    Source(
        "SAN",
        *_SAN,
        "SAN/TestCode",
        _RESEARCH,
        "Set5 at x2, x3, x4 and Set14 at x4: HR, LR; SAN's results on Set5 at x4",
    ),
    Source("SRFBN", *_SRFBN, "SRFBN/results", _RESEARCH, "reference results on Set5 at x4"),
    Source("ESRGAN", *_ESRGAN, "ESRGAN", "Apache-2.0", "LR baboon and comic, ESRGAN's baboon"),
    Source("SRNTT", *_SRNTT, "SRNTT", _RESEARCH, "CUFED5 001 with references, ten training pairs, a demo"),
)


@dataclass(frozen=True)
class DataFile:
    """One file: its place under the data root (POSIX path), SHA-256, size in bytes, and its source."""

    path: str
    sha256: str
    size: int
    source: Source

    def __post_init__(self) -> None:
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts or "\\" in self.path or str(path) != self.path:
            raise UserError(f"file list: path {self.path!r}", "a plain relative path", "repair files.csv")
        if not path.is_relative_to(self.source.folder):
            raise UserError(
                f"file list: {self.path!r} under {self.source.name}",
                f"a file in {self.source.folder}",
                "repair files.csv",
            )
        if not _SHA256.fullmatch(self.sha256) or self.size <= 0:
            raise UserError(f"file list: {self.path!r}", "a SHA-256 and a size above 0", "repair files.csv")

    @property
    def repository_path(self) -> str:
        """The file's path inside its repository: the data root's first folder stands for the repository."""
        return self.path[len(self.source.root) + 1 :]

    def url(self, base_url: str = BASE_URL) -> str:
        """Where the file can be downloaded; every special character of its path percent-encoded."""
        source = self.source
        return f"{base_url.rstrip('/')}/{source.repository}/{source.commit}/{quote(self.repository_path)}"

    def under(self, data_root: Path) -> Path:
        """The file's place on this machine."""
        return data_root / self.path


@dataclass(frozen=True)
class Registry:
    """Sources and their files."""

    sources: tuple[Source, ...]
    files: tuple[DataFile, ...]

    def select(self, names: Sequence[str] | None) -> Registry:
        """The part of the registry that belongs to the named sources; all of it for None or no names.

        Raises:
            UserError: a name that no source has.
        """
        if not names:
            return self
        known = [source.name for source in self.sources]
        for name in names:
            if name not in known:
                raise UserError(f"source {name!r}", f"one of {', '.join(known)}", "python -m repro data list")
        return Registry(
            tuple(source for source in self.sources if source.name in names),
            tuple(file for file in self.files if file.source.name in names),
        )

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def parse_files(text: str, sources: Iterable[Source]) -> Registry:
    """The registry that a file list (CSV: path, sha256, size, source) describes.

    Raises:
        UserError: columns, paths, hashes, sizes or source names that cannot be right.
    """
    by_name = {source.name: source for source in sources}
    reader = csv.DictReader(io.StringIO(text))
    if reader.fieldnames != _COLUMNS:
        raise UserError(
            f"file list: columns {reader.fieldnames}",
            f"columns {_COLUMNS}",
            "python -m repro.data.sources DATA_ROOT",
        )
    files = []
    for row in reader:
        if row["source"] not in by_name or not (row["size"] or "").isdecimal():
            raise UserError(
                f"file list: row {row}", "a known source and a size", "python -m repro.data.sources DATA_ROOT"
            )
        files.append(DataFile(row["path"], row["sha256"], int(row["size"]), by_name[row["source"]]))
    if len({file.path for file in files}) != len(files):
        raise UserError(
            "file list: a path twice", "every path once", "python -m repro.data.sources DATA_ROOT"
        )
    return Registry(tuple(by_name.values()), tuple(files))


@lru_cache(maxsize=1)
def load_registry() -> Registry:
    """The suite's registry: :data:`SOURCES` and the files of ``files.csv``."""
    return parse_files(FILE_LIST.read_text(encoding="utf-8"), SOURCES)


@lru_cache(maxsize=1)
def listed_hashes() -> dict[str, str]:
    """Path under the data root -> SHA-256, of every file of ``files.csv``."""
    return {file.path: file.sha256 for file in load_registry().files}


def make_file_list(data_root: Path) -> str:
    """The text of ``files.csv`` from ``SHA256SUMS`` and the file sizes of a data root.

    Lines of SHA256SUMS outside the folders of :data:`SOURCES` are left out.

    Raises:
        UserError: no ``SHA256SUMS``, a line of it that is none, or a file of it that is not there.
    """
    sums = data_root / "SHA256SUMS"
    if not sums.is_file():
        raise UserError(f"{sums}: no such file", "a data root with its SHA256SUMS", "check the path")
    rows = []
    for line in sums.read_text(encoding="utf-8").splitlines():
        sha256, separator, path = line.partition("  ")
        if not separator or not _SHA256.fullmatch(sha256):
            raise UserError(f"{sums}: line {line!r}", "SHA-256, two spaces, path", "make SHA256SUMS again")
        source = next((one for one in SOURCES if PurePosixPath(path).is_relative_to(one.folder)), None)
        if source is None:
            continue
        if not (data_root / path).is_file():
            raise UserError(f"{data_root / path}: no such file", "every file of SHA256SUMS", "get it again")
        size = (data_root / path).stat().st_size
        rows.append(DataFile(path, sha256, size, source))
    order = {source.name: number for number, source in enumerate(SOURCES)}
    rows.sort(key=lambda file: (order[file.source.name], file.path))
    lines = ([file.path, file.sha256, file.size, file.source.name] for file in rows)
    return csv_text([_COLUMNS, *lines])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m repro.data.sources DATA_ROOT")
    try:
        write_text(FILE_LIST, make_file_list(Path(sys.argv[1])))
    except UserError as problem:
        print(problem, file=sys.stderr)
        sys.exit(problem.exit_code)
