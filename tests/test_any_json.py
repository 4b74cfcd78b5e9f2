"""JSON that anybody may have written: every loader works with it or answers with a sentence.

Documents that the program wrote are changed somewhere at random, or replaced by something else.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import csv
import hashlib
import io
import json
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mos_helpers.studies import make_study, small_toml
from PIL import Image
from pydantic import ValidationError
from starlette.requests import Request
from train_helpers import small_dataset, tiny_config, untrained
from typer.testing import CliRunner

import analysis.cli
from analysis.io.metrics import read_metrics
from analysis.io.outputs import write_folder
from analysis.io.training_runs import read_runs
from analysis.report.page import manifests, reference_images
from mos_app.files import stimuli
from mos_app.files.archive import export_study, zip_bytes
from mos_app.files.importing import import_study, read_export
from mos_app.study.display import Ballot, DisplayRecord
from mos_app.web.routes import _json_body, _RefusedError
from repro.cli import reproduce
from repro.core import tensorfile
from repro.core.errors import UserError
from repro.core.jsonfile import DEEPEST, parsed_object
from repro.core.manifest import make_manifest, write_manifest
from repro.core.parts import joined, split
from repro.core.paths import Results
from repro.data.packed import open_packed
from repro.evaluation.crate import write_crate
from repro.evaluation.evaluate import edited, evaluate, stored_images
from repro.evaluation.verify import problems
from repro.experiments.bench.table import write_table
from repro.experiments.harness import recorded
from repro.experiments.trials import figure_of
from repro.imaging.io import sha256_file, write_png
from repro.inference import weights
from repro.inference.export import load_trained
from repro.inference.loading import metadata_of, trained_upscaler
from repro.inference.photos import _HISTORY, own_result, upscale_file
from repro.inference.store import _begun, check_free, kept
from repro.inference.upscaler import direct_upscaler
from repro.inference.weights import Weights, statement
from repro.train.finished import finished_runs
from repro.train.lengthen import begin_from
from repro.train.log import RunLog
from repro.train.loop import Loop, LoopFiles
from repro.train.ranker import ranker_manifest
from repro.train.run import run_identity

pytestmark = pytest.mark.xdist_group("any_json")  # its fixtures are made once

SOURCES = Path(__file__).parents[1]

# --- documents --------------------------------------------------------------------------------------------

_TEXTS = [
    "",
    "../../evil",
    "/etc/passwd",
    "a\0b",
    "\ud800",
    "Größe 🌋",
    "x" * 300,
    "nan",
    "4",
    "C:\\x",
    "[",
    "{}",
]
_NUMBERS = [
    0,
    -1,
    1,
    10**9,
    2**63,
    10**30,
    -(10**400),
    0.5,
    1e308,
    -1e308,
    1e-320,
    float("nan"),
    float("inf"),
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.sampled_from(_NUMBERS), st.sampled_from(_TEXTS), st.text(max_size=5)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_TEXTS) | st.text(max_size=3), inner)
    ),
    max_leaves=5,
)
RAW = st.sampled_from(
    [b"", b"\xff\xfe\x00", b"null", b"[]", b"{", b"[" * 2000, b'{"a":' * 2000 + b"1" + b"}" * 2000,
     b"\xef\xbb\xbf{}", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": ' + b"1" * 5000 + b"}", b'{"a": "\\ud800"}',
     b"{} {}", b"{}"]
)  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, document: Any) -> bytes:
    """The document with a value somewhere in it replaced, removed or added."""
    root = [copy.deepcopy(document)]
    for _ in range(draw(st.integers(1, 2))):
        holder: Any = root
        key: Any = 0
        while isinstance(holder[key], dict | list) and holder[key] and draw(st.integers(0, 5)):
            holder = holder[key]
            key = draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
        action = draw(st.sampled_from(["replace", "replace", "remove", "add", "rename"]))
        if action == "replace" or holder is root:
            holder[key] = draw(VALUES)
        elif action == "remove":
            del holder[key]
        elif isinstance(holder, list):
            holder.append(draw(VALUES))
        else:
            name = draw(st.sampled_from(_TEXTS))
            holder[name] = holder.pop(key) if action == "rename" else draw(VALUES)
    return json.dumps(root[0]).encode()


def test_what_an_object_is() -> None:
    deep = b'{"a": ' * DEEPEST + b"1" + b"}" * DEEPEST
    with pytest.raises(UserError, match="levels"):
        parsed_object(deep, "x")
    assert parsed_object(deep[6:-1], "x")
    for text in (
        '{"a": 1e999}',
        '{"a": -Infinity}',
        '{"\\u0000": 1}',
        '{"a": "\\udc80"}',
        '{"a": 1%s}' % ("0" * 30),
    ):
        with pytest.raises(UserError, match="x: unusable"):
            parsed_object(text, "x")
    assert parsed_object('{"a": [1e308, null, "\\ud83c\\udf0b"]}', "x") == {"a": [1e308, None, "🌋"]}


# --- what the program wrote -------------------------------------------------------------------------------


class Loader(NamedTuple):
    """Where JSON is read.

    Attributes:
        modules: of the packages, that read this document.
        document: one that the program wrote, by the template folder.
        put: writes another one's bytes into a folder.
        read: everything that is done with it; raises UserError or works.
        examples: how many are tried.
    """

    modules: str
    document: Callable[[Path], Any]
    put: Callable[[Path, bytes], object]
    read: tuple[Callable[[Path], object], ...]
    examples: int = 30


def _file(name: str) -> tuple[Callable[[Path], Any], Callable[[Path, bytes], object]]:
    return lambda f: json.loads((f / name).read_bytes()), lambda f, data: (f / name).write_bytes(data)


def _line(name: str) -> tuple[Callable[[Path], Any], Callable[[Path, bytes], object]]:
    """The first line of a log."""

    def put(folder: Path, data: bytes) -> None:
        path = folder / name
        path.write_bytes(b"\n".join([data.replace(b"\n", b" "), *path.read_bytes().splitlines()[1:]]))

    return lambda f: json.loads((f / name).read_text().splitlines()[0]), put


def _header(name: str) -> tuple[Callable[[Path], Any], Callable[[Path, bytes], object]]:
    """The metadata of a safetensors file of this program."""

    def parts(path: Path) -> tuple[dict[str, Any], bytes]:
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        return json.loads(data[8 : 8 + length]), data[8 + length :]

    def document(folder: Path) -> Any:
        return json.loads(parts(folder / name)[0]["__metadata__"]["srgan-repro"])

    def put(folder: Path, data: bytes) -> None:
        header, rest = parts(folder / name)
        header["__metadata__"]["srgan-repro"] = data.decode("latin-1")
        text = json.dumps(header).encode()
        (folder / name).write_bytes(struct.pack("<Q", len(text)) + text + rest)

    return document, put


BALLOT = {
    "item": "a" * 22, "nonce": "b" * 22, "score": 3, "response_ms": 900,
    "display": DisplayRecord(surface="stage").model_dump(mode="json"),
}  # fmt: skip
STORE = "images/sample/nearest"
RUN = "runs/tiny"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with everything in it, made by the program."""
    root = tmp_path_factory.mktemp("written")
    results = Results(root)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for method in ("HR", "nearest"):
        folder = results.method_folder("sample", method)
        folder.mkdir(parents=True)
        digest = write_png(folder / "a.png", pixels)
        manifest = make_manifest(
            kind="result images", inputs={"weights": "0", "reference b.png": "1"},
            outputs={"a": digest}, notes=["a note"], dataset="sample", method=method, run="", scale=4,
        )  # fmt: skip
        write_manifest(folder / "manifest.json", manifest)
    (root / STORE / "unfinished.json").write_text(
        json.dumps({"inputs": {"a": "0"}, "outputs": {"a": digest}})
    )
    evaluate(results)
    write_folder(root / "tables", {"x.md": b"x"}, kind="tables", inputs={}, seed=0, notes=["a note"])
    write_folder(
        root / "error_rates", {}, kind="error rates", inputs={}, seed=0, notes=[], config={"studies": 200}
    )
    config = tiny_config()
    folder = root / RUN
    untrained(folder, config)
    outputs = {"generator.safetensors": sha256_file(folder / "generator.safetensors")}
    manifest = make_manifest(
        kind="run", inputs={}, outputs=outputs, notes=["a note"], config=config.as_dict(),
        accuracy={"all": 0.5, "a and b": 0.5}, held_out_pairs=7,
    )  # fmt: skip
    write_manifest(folder / "manifest.json", manifest)
    (folder / "config.json").write_text(json.dumps(config.as_dict()))
    (folder / "log.jsonl").write_text(
        '{"step": 1, "val_psnr_db": 20.5, "loss": 1}\n{"step": 2, "val_psnr_db": 21}\n'
    )
    (folder / "timing.jsonl").write_text('{"step": 1, "seconds_per_update": 0.5}\n')
    about = {
        "identity": run_identity(config, False, {}),
        "config": config.as_dict(),
        "done": 2,
        "summed": 1,
        "validation_psnr_db": 20.5,
    }
    tensorfile.save(folder / "checkpoint.safetensors", {"torch_rng": torch.get_rng_state()}, about)
    (root / "parts").mkdir()
    shutil.copy(folder / "checkpoint.safetensors", root / "parts/checkpoint.safetensors")
    split(root / "parts/checkpoint.safetensors")
    (root / "parts/checkpoint.safetensors").unlink()
    published = SOURCES / "results/published/bench"
    (root / "bench").mkdir()
    for path in published.glob("*.json"):
        shutil.copy(path, root / "bench")
    picture = root / "p.png"
    write_png(picture, pixels)
    small_dataset(root / "packed", 2)
    next((root / "packed").glob("*/bank.json")).parent.rename(root / "bank")
    upscale_file(picture, root / "photo.png", direct_upscaler("bicubic"))
    (root / "ballot.json").write_text(json.dumps(BALLOT))
    _, workspace = make_study(root / "study", small_toml(raters=1, images=2, distance=1, blocks=1))
    shutil.copy(export_study(workspace), root / "export.zip")
    workspace.close()
    shutil.rmtree(root / "study")
    for path in root.rglob("*manifest.json"):  # the same everywhere, as the examples depend on it
        same = {"command": ["x"], "git": {"commit": "c", "dirty": False}, "versions": {"python": "3"}}
        path.write_text(json.dumps(json.loads(path.read_bytes()) | same))
    return root


def _photo(folder: Path, data: bytes) -> None:
    exif = Image.Exif()
    exif[_HISTORY] = data.decode("latin-1")
    Image.new("RGB", (4, 4)).save(folder / "photo.png", exif=exif)


def _export(name: str) -> tuple[Callable[[Path], Any], Callable[[Path, bytes], object]]:
    """A file of a study's export, whose manifest has the hash of what was put there."""

    def put(folder: Path, data: bytes) -> None:
        files = read_export(
            folder / "whole.zip" if (folder / "whole.zip").is_file() else folder / "export.zip"
        )
        if not (folder / "whole.zip").is_file():
            shutil.copy(folder / "export.zip", folder / "whole.zip")
        if name == "events.csv":
            table = list(csv.reader(io.StringIO(files[name].decode())))
            table[1][table[0].index("detail")] = data.decode("latin-1").replace("\0", "")
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(table)
            files[name] = text.getvalue().encode()
        else:
            files[name] = data
        if name != "manifest.json":
            manifest = json.loads(files["manifest.json"])
            manifest["outputs"][name] = hashlib.sha256(files[name]).hexdigest()
            files["manifest.json"] = json.dumps(manifest).encode()
        (folder / "export.zip").write_bytes(zip_bytes(files))

    def document(folder: Path) -> Any:
        data = read_export(folder / "export.zip")[name]
        if name == "events.csv":
            return json.loads(next(csv.DictReader(io.StringIO(data.decode())))["detail"])
        return json.loads(data)

    return document, put


def _import(folder: Path) -> None:
    shutil.rmtree(folder / "imported", ignore_errors=True)
    import_study(Results(folder / "imported"), folder / "export.zip")


def _posted(folder: Path) -> None:
    """What a browser sends, as far as it is looked at before the database is."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": (folder / "ballot.json").read_bytes()}

    headers = [(b"content-type", b"application/json")]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    with contextlib.suppress(_RefusedError, ValidationError):
        Ballot.model_validate(asyncio.run(_json_body(request)))


def _resume(folder: Path) -> None:
    step = SimpleNamespace(state_modules=dict, optimisers={}, accepted={}, device=torch.device("cpu"))
    config = tiny_config()
    run = SimpleNamespace(
        files=LoopFiles(folder / RUN),
        identity=run_identity(config, False, {}),
        config=config,
        step=SimpleNamespace(eager=step),
    )
    Loop.resume(run)  # type: ignore[arg-type]


def _begin(folder: Path) -> None:
    shutil.rmtree(folder / "longer", ignore_errors=True)
    longer = SimpleNamespace(
        config=tiny_config(updates=7), folder=folder / "longer", bfloat16=False, inputs={}, identity="y"
    )
    begin_from(longer, folder / RUN)  # type: ignore[arg-type]


def _joined(folder: Path) -> None:
    whole = folder / "parts/checkpoint.safetensors"
    whole.unlink(missing_ok=True)
    joined(whole)


def _start(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "SHIPPED", folder / RUN)
        config = tiny_config("SRGAN-MSE").but(start="generator")
        reproduce._start(config, {"generator": folder})


def _packed(folder: Path) -> None:
    images = open_packed(folder / "bank")
    for number in range(len(images)):
        assert images.image_u8(number).size
        images.window_u8(number, -1, 0, 16)
    images.flat_offsets()
    "".join([*images.skipped, *images.keys, *images.sha256])


def _errors(folder: Path) -> None:
    arguments = ["errors", "--out", str(folder), "--minutes", "0"]
    CliRunner().invoke(analysis.cli.app, arguments, catch_exceptions=False)


def _stimuli(folder: Path) -> None:
    part = SimpleNamespace(name="sample", methods=["nearest"])
    stimuli.reference_images(SimpleNamespace(datasets=[part]), Results(folder))  # type: ignore[arg-type]


def _by_results(*readers: Callable[[Results], object]) -> tuple[Callable[[Path], object], ...]:
    return tuple(lambda folder, reader=reader: reader(Results(folder)) for reader in readers)  # type: ignore[misc]


LOADERS: dict[str, Loader] = {
    "manifest of images": Loader(
        "repro.evaluation.evaluate repro.evaluation.verify repro.evaluation.crate repro.inference.store "
        "analysis.report.page analysis.io.metrics mos_app.files.stimuli",
        *_file(f"{STORE}/manifest.json"),
        (
            *_by_results(
                lambda r: list(stored_images(r)),
                lambda r: list(problems(r)),
                write_crate,
                manifests,
                reference_images,
                read_metrics,
                lambda r: kept(r.root / STORE, {}, ["a"]),
                lambda r: check_free("mine", r.root / STORE / "manifest.json", "0"),
            ),
            _stimuli,
        ),
    ),
    "manifest of scores": Loader(
        "analysis.io.metrics repro.evaluation.verify repro.evaluation.evaluate repro.evaluation.crate",
        *_file("metrics.manifest.json"),
        _by_results(
            read_metrics, lambda r: edited(r.metrics_csv), lambda r: list(problems(r)), write_crate, manifests
        ),
    ),
    "manifest of tables": Loader(
        "analysis.io.outputs repro.evaluation.verify",
        *_file("tables/manifest.json"),
        (
            *_by_results(lambda r: list(problems(r)), write_crate),
            lambda f: write_folder(f / "tables", {}, kind="tables", inputs={}, seed=0, notes=[]),
        ),
    ),
    "manifest of error rates": Loader("analysis.cli", *_file("error_rates/manifest.json"), (_errors,), 10),
    "manifest of a run": Loader(
        "repro.train.finished repro.train.ranker repro.experiments.trials repro.inference.export "
        "analysis.io.training_runs repro.evaluation.verify repro.cli.ranksrgan",
        *_file(f"{RUN}/manifest.json"),
        (
            *_by_results(
                lambda r: [figure_of(run) for run in finished_runs(r)],
                read_runs,
                manifests,
                lambda r: list(problems(r)),
                write_crate,
            ),
            lambda f: load_trained(f / RUN),
            lambda f: ranker_manifest(f / RUN),
        ),
    ),
    "configuration of a run": Loader(
        "analysis.io.training_runs analysis.report.page",
        *_file(f"{RUN}/config.json"),
        _by_results(read_runs, manifests),
    ),
    "log of a run": Loader(
        "repro.train.log analysis.io.training_runs",
        *_line(f"{RUN}/log.jsonl"),
        (
            *_by_results(read_runs, lambda r: [figure_of(run).row() for run in finished_runs(r)]),
            lambda f: RunLog(f / RUN, 1, tensorboard=False).close(),
        ),
    ),
    "times of a run": Loader(
        "repro.inference.export", *_line(f"{RUN}/timing.jsonl"), (lambda f: load_trained(f / RUN),), 15
    ),
    "weights": Loader(
        "repro.core.tensorfile repro.inference.loading repro.inference.export repro.cli.reproduce "
        "repro.train.run repro.experiments.bench.loss_terms",
        *_header(f"{RUN}/generator.safetensors"),
        (
            lambda f: trained_upscaler(f / RUN / "generator.safetensors"),
            lambda f: load_trained(f / RUN),
            lambda f: statement(
                Weights(f / RUN / "generator.safetensors", "given"),
                metadata_of(f / RUN / "generator.safetensors"),
            ),
            _start,
        ),
    ),
    "checkpoint": Loader(
        "repro.train.loop repro.train.lengthen",
        *_header(f"{RUN}/checkpoint.safetensors"),
        (_resume, _begin),
    ),
    "a part of a checkpoint": Loader(
        "repro.core.parts", *_header("parts/checkpoint.part000.safetensors"), (_joined,)
    ),
    "unfinished images": Loader(
        "repro.inference.store",
        *_file(f"{STORE}/unfinished.json"),
        (lambda f: _begun(f / STORE / "unfinished.json", {"a": "0"}),),
    ),
    "a photograph's history": Loader(
        "repro.inference.photos",
        lambda f: own_result(f / "photo.png"),
        _photo,
        (lambda f: own_result(f / "photo.png"),),
    ),
    "an export's study": Loader("mos_app.files.importing", *_export("study.json"), (_import,), 12),
    "an export's manifest": Loader("mos_app.files.importing", *_export("manifest.json"), (_import,), 12),
    "an export's events": Loader(
        "mos_app.files.importing mos_app.db.tables", *_export("events.csv"), (_import,), 6
    ),
    "an answer in the study": Loader("mos_app.web.routes", *_file("ballot.json"), (_posted,), 60),
    "a packed dataset": Loader("repro.data.packed", *_file("bank/bank.json"), (_packed,)),
    "a chunk of a packed dataset": Loader("repro.data.packed", *_file("bank/chunk_00000.json"), (_packed,)),
} | {
    f"measurement {name}": Loader(
        "repro.experiments.bench.table repro.experiments.harness",
        *_file(f"bench/{name}.json"),
        (lambda f: write_table(f / "bench"), lambda f, name=name: recorded(f, name, "variants")),
        15,
    )
    for name in ("data", "loss_terms", "metrics", "train_cpu")
}


def _answered(read: Callable[[Path], object], folder: Path) -> None:
    """UserError is the only error, and its sentence can be printed."""
    told = UserError("worked", "that it does")
    try:
        read(folder)
    except UserError as problem:
        told = problem
    assert told.expected
    assert told.message().encode()


@pytest.mark.parametrize("name", LOADERS)
def test_any_json_is_read_or_answered(name: str, written: Path, tmp_path: Path) -> None:
    loader = LOADERS[name]
    document = loader.document(written)
    shutil.copytree(written, tmp_path / "r" / "r", symlinks=True)
    for read in loader.read:
        read(tmp_path / "r" / "r")  # as it was written it is read

    @settings(
        max_examples=loader.examples,
        phases=[Phase.generate],  # a failing document is small enough to read as it is
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.one_of(changed(document), changed(document), changed(document), RAW))
    def attempt(data: bytes) -> None:
        loader.put(tmp_path / "r" / "r", data)
        for read in loader.read:
            _answered(read, tmp_path / "r" / "r")

    attempt()
    # nothing beside the results folder, and in it nothing that a file's contents named
    assert [path.name for path in tmp_path.iterdir()] == ["r"]
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["r"]
    assert not list(tmp_path.rglob("*evil*"))


# --- no loader is forgotten -------------------------------------------------------------------------------

ELSEWHERE = {
    "repro.core.jsonfile": "the one way in",
    "repro.experiments.bench.train": "a copy of what it measured",
    "repro.inference.foreign": "what its own process says: hostile files are in test_add.py",
    "mos_app.files.archive": "its events, which restore_events has checked",
    "mos_app.db.studies": "its own database",
    "mos_app.db.votes": "its own database",
}
"""Modules that parse JSON by themselves, and what it is."""


_READERS = re.compile(
    r"(?<!def )\b(parsed_object|read_object|read_json|read_lines|tensorfile\.load|ranker_manifest)\("
)


def test_no_loader_is_forgotten() -> None:
    """Whoever reads JSON does so through core/jsonfile.py, and is in LOADERS."""
    by_themselves, readers = set(), set()
    for path in (
        path for package in ("repro", "analysis", "mos_app") for path in (SOURCES / package).rglob("*.py")
    ):
        module, text = ".".join(path.relative_to(SOURCES).with_suffix("").parts), path.read_text()
        if re.search(r"json\.loads?\(|JSONDecoder|read_json\(.*pd\.", text):
            by_themselves.add(module)
        if re.search(
            r"(?<!def )\b(parsed_object|read_object|read_json|read_lines|tensorfile\.load|ranker_manifest)\(",
            text,
        ):
            readers.add(module)
    assert by_themselves == set(ELSEWHERE)
    tried = {module for loader in LOADERS.values() for module in loader.modules.split()}
    assert readers - {"repro.core.jsonfile"} == tried
