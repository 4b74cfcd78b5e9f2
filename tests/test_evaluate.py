"""The image store as evaluation reads it: whatever a manifest holds is used, or refused in a sentence."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from repro.cli.upscalers import score_store
from repro.core.errors import UserError
from repro.core.jsonfile import read_object
from repro.core.paths import Results
from repro.core.progress import bar
from repro.data.benchmarks import EvaluationImage
from repro.evaluation.evaluate import edited, mean_scores, scored_images, stored_images
from repro.evaluation.rows import read_rows
from repro.imaging.io import write_png
from repro.inference.store import kept, store_originals, upscale_dataset
from repro.inference.upscaler import direct_upscaler
from repro.train.finished import GENERATOR_FILE, finished_runs

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """One image ``a`` of data set ``d``, and a method ``m`` that has it."""
    results = Results(tmp_path_factory.mktemp("store"))
    for method in ("HR", "m"):
        sha256 = write_png(results.image("d", method, "a"), np.zeros((8, 8, 3), np.uint8))
        results.method_manifest("d", method).write_text(json.dumps({"outputs": {"a": sha256}}))
    return results


def test_a_store_as_it_is_written(store: Results) -> None:
    found = list(stored_images(store))
    assert [(image.method, image.image, image.scale, notes) for image, notes in found] == [
        ("HR", "a", 4.0, []),
        ("m", "a", 4.0, []),
    ]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    whole=st.booleans(),
    value=JSON,
    field=st.sampled_from(["outputs", "notes", "run", "scale"]),
    method=st.sampled_from(["HR", "m"]),
)
def test_any_json_is_used_or_refused(
    store: Results, whole: bool, value: Any, field: str, method: str
) -> None:
    place = store.method_manifest("d", method)
    good = place.read_text()
    try:
        place.write_text(json.dumps(value if whole else json.loads(good) | {field: value}))
        with suppress(UserError):
            assert all(1 <= image.scale <= 64 for image, _ in stored_images(store))
    finally:
        place.write_text(good)


@pytest.mark.parametrize(
    "change",
    [
        {"outputs": {"../a": "0"}},
        {"outputs": {"": "0"}},
        {"outputs": {"a": 0}},
        {"outputs": ["a"]},
        {"notes": "short"},
        {"notes": [1]},
        {"run": None},
        {"scale": True},
        {"scale": "4"},
        {"scale": 1e308},
    ],
)
def test_what_is_wrong_is_named(store: Results, change: dict[str, Any]) -> None:
    place = store.method_manifest("d", "m")
    good = place.read_text()
    place.write_text(json.dumps(json.loads(good) | change))
    try:
        with pytest.raises(UserError) as refused:
            list(stored_images(store))
    finally:
        place.write_text(good)
    assert refused.value.got.startswith(str(place))
    assert refused.value.next_step == "python -m repro upscale --dataset d --method 'm'"


def test_what_raters_calibrate_on_is_not_scored(store: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor counted by the bar: every command counts what is scored."""
    monkeypatch.setattr("repro.evaluation.evaluate.CALIBRATION", "d")
    totals = Mock(side_effect=bar)
    monkeypatch.setattr("repro.cli.upscalers.bar", totals)
    with pytest.raises(UserError, match="empty"):
        score_store(Console(), store)
    assert totals.call_args.args[1:] == ("scoring", 0)
    assert list(scored_images(store)) == []


@pytest.mark.parametrize("name", ["HR", "hr", "nearest", "bicubic", "Bicubic"])
def test_weights_may_not_bear_the_names_of_originals_and_interpolations(tmp_path: Path, name: str) -> None:
    method: Any = SimpleNamespace(name=name, inputs={"weights": "0"})
    with pytest.raises(UserError, match=f"weights as method '{name}'"):
        upscale_dataset(Results(tmp_path), "sample", method, None)
    assert list(tmp_path.iterdir()) == []


def test_the_store_takes_its_data_sets_scale_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = Results(tmp_path / "results")
    with pytest.raises(UserError, match="bicubic at x2 for sample, which is reduced by 4"):
        upscale_dataset(results, "sample", direct_upscaler("bicubic", 2), None)
    assert not results.root.exists()
    write_png(tmp_path / "a.png", np.zeros((12, 8, 3), np.uint8))
    halves = (EvaluationImage("Set5", "a", "a", tmp_path / "a.png", scale=2),)
    monkeypatch.setattr("repro.inference.store.load_dataset", lambda *_: halves)
    store_originals(results, "Set5", None)
    assert upscale_dataset(results, "Set5", direct_upscaler("bicubic", 2), None)
    assert [image.scale for image, _ in stored_images(results)] == [2, 2]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=JSON, field=st.sampled_from(["", "outputs", "config", "inputs"]))
def test_a_run_or_a_folder_with_any_json_is_ours_or_not(tmp_path: Path, value: Any, field: str) -> None:
    place = Results(tmp_path).runs / "x" / "manifest.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    sha256 = write_png(place.with_name(GENERATOR_FILE), np.zeros((1, 1), np.uint8))
    good = {"outputs": {GENERATOR_FILE: sha256}, "config": {"variant": "v", "profile": "p", "seed": 0}}
    place.write_text(json.dumps(good | {field: value} if field else value))
    assert [run.variant for run in finished_runs(Results(tmp_path))] in ([], ["v"])
    assert kept(place.parent, {}, ["a"]) is False


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1", '"x"', DEEP, '{"outputs": [1]}', "\ud800"])
def test_damaged_manifests(store: Results, tmp_path: Path, text: str) -> None:
    path = store.metrics_csv.with_suffix(".manifest.json")
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    store.metrics_csv.write_text("x")
    assert edited(store.metrics_csv) is False
    if text != '{"outputs": [1]}':
        with pytest.raises(UserError, match="unusable"):
            read_object(path)


@pytest.mark.parametrize(
    "text",
    [b"", b"a,b\n1,2\n", b"\xff\xfe\n", b"dataset,image,method,protocol,metric,value,sha256,run\na,b,c\n"],
)
def test_a_table_that_holds_no_scores_is_told(text: bytes, tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.metrics_csv.write_bytes(text)
    if text:
        with pytest.raises(UserError, match=r"metrics\.csv"):
            mean_scores(read_rows(results.metrics_csv), "nearest")
    else:
        assert mean_scores(read_rows(results.metrics_csv), "nearest") == {}
