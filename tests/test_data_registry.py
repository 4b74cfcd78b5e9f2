"""The table of sources and the committed list of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.core.errors import UserError
from repro.data.sources import (
    FILE_LIST,
    SOURCES,
    DataFile,
    Source,
    load_registry,
    make_file_list,
    parse_files,
)

COUNTS = {
    "Set5": 10,
    "Set14": 28,
    "BSD100": 200,
    "BSDS500-train": 200,
    "BSDS500-test": 200,
    "imagenet-sample": 506,
    "SRResNet-authors": 19,
    "SRGAN-authors": 19,
    "Huang-results": 35,
    "DRCN-results": 5,
    "VDSR-results": 5,
    "SRCNN-weights": 1,
    "RCAN": 20,
    "SAN": 63,
    "SRFBN": 5,
    "ESRGAN": 3,
    "SRNTT": 32,
}
SOURCE = Source("one", "owner/name", "f" * 40, "root/part(s)", "none", "test")
HEADER = "path,sha256,size,source\n"


def test_every_source_has_its_files() -> None:
    registry = load_registry()
    found = {source.name: 0 for source in registry.sources}
    for file in registry.files:
        found[file.source.name] += 1
    assert found == COUNTS


def test_commits_and_folders_are_plausible() -> None:
    assert len({source.folder for source in SOURCES}) == len(SOURCES)
    for source in SOURCES:
        assert len(source.commit) == 40
        assert set(source.commit) <= set("0123456789abcdef")
        assert source.repository.count("/") == 1
        assert source.licence
        assert source.purpose
    # one repository, one commit
    assert len({(source.repository, source.commit) for source in SOURCES}) == len(
        {source.repository for source in SOURCES}
    )


def test_no_image_of_the_split_that_is_bsd100_is_trained_on() -> None:
    assert not any("/images/val/" in file.path for file in load_registry().files)


def test_addresses_are_percent_encoded_repository_paths() -> None:
    (weights,) = load_registry().select(["SRCNN-weights"]).files
    assert weights.url() == (
        "https://raw.githubusercontent.com/Piyush3dB/SR-convnet/"
        "a95ab414a5b42c4483e034d8b133e893a73b53fb/model/9-1-5%2891%20images%29/x4.mat"
    )
    first = load_registry().select(["BSDS500-train"]).files[0]
    assert first.url("http://mirror/").startswith(
        "http://mirror/BIDS/BSDS500/a04b7c6c3a9f0ace74bf205c72a43d32e1c72722/BSDS500/data/images/train/"
    )


@pytest.mark.data
def test_the_list_is_what_the_documented_command_makes(data_root: Path) -> None:
    assert make_file_list(data_root) == FILE_LIST.read_text(encoding="utf-8")


def test_a_list_is_made_from_sums_and_sizes(tmp_path: Path) -> None:
    path = "SelfExSR/data/Set5/image_SRF_4/img_001_SRF_4_HR.png"
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(b"12345")
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  {path}\n{'1' * 64}  ratings/README.md\n")
    assert make_file_list(tmp_path) == HEADER + f"{path},{'0' * 64},5,Set5\n"
    (tmp_path / path).unlink()
    with pytest.raises(UserError, match="no such file"):
        make_file_list(tmp_path)
    (tmp_path / "SHA256SUMS").write_text("nonsense\n")
    with pytest.raises(UserError, match="nonsense"):
        make_file_list(tmp_path)


@pytest.mark.parametrize(
    "row",
    [
        f"/etc/passwd,{'0' * 64},1,one",
        f"root/part(s)/../../x,{'0' * 64},1,one",
        f"root\\part(s)\\x,{'0' * 64},1,one",
        f"root/other/x,{'0' * 64},1,one",
        f"root/part(s)/x,{'0' * 63},1,one",
        f"root/part(s)/x,{'G' * 64},1,one",
        f"root/part(s)/x,{'0' * 64},0,one",
        f"root/part(s)/x,{'0' * 64},-1,one",
        f"root/part(s)/x,{'0' * 64},1,two",
        f"root/part(s)/x,{'0' * 64}",
        f"root/part(s)/x,{'0' * 64},1,one\nroot/part(s)/x,{'1' * 64},1,one",
    ],
)
def test_lists_that_cannot_be_right_are_refused(row: str) -> None:
    with pytest.raises(UserError):
        parse_files(HEADER + row + "\n", [SOURCE])


def test_a_list_with_other_columns_is_refused() -> None:
    with pytest.raises(UserError, match="columns"):
        parse_files("path,md5\n", [SOURCE])


def test_selecting() -> None:
    registry = load_registry()
    assert registry.select(None) is registry
    assert {file.source.name for file in registry.select(["Set5", "Set14"]).files} == {"Set5", "Set14"}
    with pytest.raises(UserError, match="'Set6'"):
        registry.select(["Set5", "Set6"])


def test_a_file_knows_its_place_and_its_repository_path() -> None:
    file = DataFile("root/part(s)/a.png", "0" * 64, 1, SOURCE)
    assert file.repository_path == "part(s)/a.png"
    assert file.under(Path("x")) == Path("x") / "root/part(s)/a.png"
