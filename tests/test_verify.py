"""A results folder against its manifests, and the RO-Crate that is made from them."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from typer.testing import CliRunner, Result

from analysis.cli import app as analysis
from repro.cli.main import app
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.evaluation.evaluate import evaluate
from repro.evaluation.verify import present, problems
from repro.imaging.io import sha256_file
from repro.inference.store import store_originals, upscale_dataset
from repro.inference.upscaler import direct_upscaler

pytestmark = pytest.mark.xdist_group("verify")  # its fixtures are made once

PUBLISHED = Results(Path(__file__).resolve().parent.parent / "results" / "published")


def command(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Images, scores and tables, as the commands make them."""
    results = Results(tmp_path_factory.mktemp("made"))
    upscale_dataset(results, "sample", direct_upscaler("nearest"), None)
    store_originals(results, "sample", None)
    evaluate(results)
    outcome = CliRunner().invoke(analysis, ["tables", "--results", str(results.root)], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return results


@pytest.fixture
def copied(made: Results, tmp_path: Path) -> Results:
    shutil.copytree(made.root, tmp_path / "r")
    return Results(tmp_path / "r")


def test_what_is_as_it_was_made(made: Results) -> None:
    assert list(problems(made)) == []
    assert present(made) == ["images", "metrics", "tables"]
    outcome = command("verify", made.root)
    assert outcome.exit_code == 0
    assert "all as their manifests say" in outcome.output


def test_what_is_published() -> None:
    assert list(problems(PUBLISHED)) == []
    assert {"runs", "weights", "metrics", "tables", "figures"} <= set(present(PUBLISHED))


def _edit(path: str, old: str, new: str) -> Callable[[Results], None]:
    def change(results: Results) -> None:
        text = (results.root / path).read_text()
        assert old in text
        (results.root / path).write_text(text.replace(old, new, 1))

    return change


def _swap(results: Results) -> None:
    folder = results.method_folder("sample", "nearest")
    first, second = sorted(folder.glob("*.png"))[:2]
    first.write_bytes(second.read_bytes())


def _stray(results: Results) -> None:
    folder = results.method_folder("sample", "nearest")
    shutil.copy(next(folder.glob("*.png")), folder / "mine.png")


def _forged(results: Results) -> None:
    """A changed score whose hash was put into the manifest: the tables give it away."""
    _edit("metrics.csv", ",psnr_db,2", ",psnr_db,3")(results)
    manifest = results.root / "metrics.manifest.json"
    value = json.loads(manifest.read_text())
    value["outputs"] = {"metrics.csv": sha256_file(results.metrics_csv)}
    manifest.write_text(json.dumps(value))


CHANGES: dict[str, tuple[Callable[[Results], None], str]] = {
    "a score by hand": (_edit("metrics.csv", ",psnr_db,2", ",psnr_db,3"), "metrics: .*changed after"),
    "and its manifest": (_forged, "tables: .*made from other scores"),
    "a table by hand": (_edit("tables/scores.md", "nearest", "mine"), "tables: .*scores.md: changed"),
    "a table lost": (lambda r: (r.tables / "scores.md").unlink(), "tables: .*scores.md: missing"),
    "an image": (_swap, "images: .*not the bytes"),
    "a stray image": (_stray, "images: .*in no manifest"),
    "a manifest lost": (lambda r: (r.root / "metrics.manifest.json").unlink(), "metrics: .*unusable"),
    "a deep manifest": (
        lambda r: (r.tables / "manifest.json").write_text("[" * 99_999), "tables: .*unusable",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_is_told_in_a_line(name: str, copied: Results) -> None:
    change, told = CHANGES[name]
    change(copied)
    outcome = command("verify", copied.root)
    assert outcome.exit_code == 1
    assert [line for line in outcome.output.splitlines() if re.search(told, line)]


def test_nothing_to_check(tmp_path: Path) -> None:
    for name in ("verify", "crate"):
        assert isinstance(command(name, tmp_path).exception, UserError)


# --- RO-Crate 1.1 -----------------------------------------------------------------------------------------


def crate_problems(folder: Path) -> list[str]:
    """What RO-Crate 1.1 demands of the root, of flattened JSON-LD, of data and contextual entities."""
    document = json.loads((folder / "ro-crate-metadata.json").read_text())
    told = []
    if document["@context"][0] != "https://w3id.org/ro/crate/1.1/context":
        told.append("another context")
    graph: list[dict[str, Any]] = document["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    if len(entities) != len(graph):
        told.append("an @id twice")
    descriptor, root = entities["ro-crate-metadata.json"], entities["./"]
    if descriptor["about"] != {"@id": "./"} or not descriptor["conformsTo"]["@id"].endswith("/crate/1.1"):
        told.append("a descriptor of something else")
    told += [f"the root has no {name}" for name in ("name", "description", "license") if not root.get(name)]
    datetime.date.fromisoformat(root["datePublished"])
    parts = {part["@id"] for part in root["hasPart"]}
    for entity in graph:
        if not isinstance(entity.get("@type"), str):
            told.append(f"{entity['@id']} has no type")
        for name, value in entity.items():
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, dict) and (each.keys() != {"@id"}):
                    told.append(f"{entity['@id']}: {name} is not flattened")
                elif isinstance(each, dict) and each["@id"] not in entities and "://" not in each["@id"]:
                    told.append(f"{entity['@id']}: {name} leads nowhere")
        if entity["@type"] == "File":
            path = folder / unquote(entity["@id"])
            if not path.is_file() or sha256_file(path) != entity["sha256"]:
                told.append(f"{entity['@id']}: not the file")
            if entity["@id"] not in parts or re.search(r"[ \\]|^/|\.\.", entity["@id"]):
                told.append(f"{entity['@id']}: no part, or no relative address")
    return told


VALIDATOR = Path(__file__).parents[1] / ".crate"


@pytest.mark.skipif(not (VALIDATOR / "cache.sqlite").is_file(), reason="no validator: make crate-validator")
def test_the_crate_passes_the_validator(copied: Results, tmp_path: Path) -> None:
    """All of RO-Crate 1.1 that is required, and what is recommended but for a person who vouches for it."""
    assert command("crate", copied.root).exit_code == 0

    def validated() -> list[dict[str, Any]]:
        report = tmp_path / "report.json"
        told = subprocess.run(
            [VALIDATOR / "bin" / "rocrate-validator", "--no-interactive", "validate", "--offline",
             "--cache-path", VALIDATOR / "cache", "--requirement-severity", "recommended",
             "--output-format", "json", "--output-file", report, copied.root],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert report.is_file(), told.stdout + told.stderr
        issues: list[dict[str, Any]] = json.loads(report.read_text())["issues"]
        return issues

    issues = validated()
    assert {issue["violatingProperty"] for issue in issues} == {
        "http://schema.org/author",
        "http://schema.org/publisher",
    }, issues
    assert {issue["severity"] for issue in issues} == {"RECOMMENDED"}
    path = copied.root / "ro-crate-metadata.json"
    path.write_text(path.read_text().replace('"datePublished"', '"dated"'))
    assert "REQUIRED" in {issue["severity"] for issue in validated()}


def test_the_crate_of_a_folder(copied: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    outcome = command("crate", copied.root)
    assert outcome.exit_code == 0, outcome.output
    assert crate_problems(copied.root) == []
    path = copied.root / "ro-crate-metadata.json"
    first = path.read_bytes()
    graph = json.loads(first)["@graph"]
    assert graph[1]["datePublished"] == "1970-01-02"
    (scoring,) = [entity for entity in graph if entity["@id"] == "#made-metrics.manifest.json"]
    images = {entity["@id"] for entity in graph if entity["@id"].endswith(".png")}
    assert {each["@id"] for each in scoring["object"]} == images
    assert {"@id": "metrics.csv"} in scoring["result"]
    assert command("crate", copied.root).exit_code == 0
    assert path.read_bytes() == first
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    assert isinstance(command("crate", copied.root).exception, UserError)


def test_the_check_of_a_crate_can_fail(copied: Results) -> None:
    command("crate", copied.root)
    path = copied.root / "ro-crate-metadata.json"
    document = json.loads(path.read_text())
    del document["@graph"][1]["license"]
    document["@graph"][-1] |= {"instrument": {"@id": "#nobody"}, "agent": {"@id": "#x", "name": "nested"}}
    path.write_text(json.dumps(document))
    assert len(crate_problems(copied.root)) == 3
    next(copied.method_folder("sample", "nearest").glob("*.png")).write_bytes(b"")
    assert len(crate_problems(copied.root)) == 4


def test_the_crate_of_what_is_published(tmp_path: Path) -> None:
    shutil.copytree(PUBLISHED.root, tmp_path / "r")
    assert command("crate", tmp_path / "r").exit_code == 0
    assert crate_problems(tmp_path / "r") == []
    assert not re.search(r"/(home|root|work|tmp|Users)/", (tmp_path / "r/ro-crate-metadata.json").read_text())
