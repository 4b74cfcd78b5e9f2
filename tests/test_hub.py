"""A hub's folder, what reads it, and uploading it to a hub on loopback."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from train_helpers import untrained
from typer.testing import CliRunner, Result

from repro.cli.main import app
from repro.core import tensorfile
from repro.core.errors import UserError
from repro.core.manifest import make_manifest, write_manifest
from repro.evaluation.rows import Row
from repro.imaging.io import sha256_file
from repro.inference.export import load_trained
from repro.inference.half import Halved
from repro.inference.hub import FILES, write_hub
from repro.inference.loading import load_network

PUBLISHED = Path(__file__).resolve().parent.parent / "results" / "published"
TOKEN = "hf_" + "x" * 34


def export(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    outcome = export(
        untrained(tmp_path), "--hub", tmp_path / "hub", "--licence", "CC-BY-4.0", "--results", tmp_path
    )
    assert outcome.exit_code == 0, outcome.output
    return tmp_path / "hub"


def test_the_folder_and_its_words(folder: Path, tmp_path: Path) -> None:
    assert {path.name for path in folder.iterdir()} == set(FILES)
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "srgan"
    assert config["scale"] == 4
    _, front, body = (folder / "README.md").read_text().split("---\n", 2)
    fields = {line.partition(": ")[0]: json.loads(line.partition(": ")[2]) for line in front.splitlines()}
    assert fields["pipeline_tag"] == "image-to-image"
    assert fields["license"] == "cc-by-4.0"
    assert sha256_file(folder / "model.safetensors") in body
    entry = json.loads((folder / "openmodeldb.json").read_text())
    assert entry["license"] == "CC-BY-4.0"
    assert entry["date"] == "1970-01-02"
    assert entry["architecture"] == "sr-res-net"
    (resource,) = entry["resources"]
    assert resource["sha256"] == sha256_file(folder / "model.pth")
    assert resource["size"] == (folder / "model.pth").stat().st_size
    assert {
        "name",
        "author",
        "tags",
        "description",
        "size",
        "scale",
        "inputChannels",
        "images",
    } <= entry.keys()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = [next(tmp_path.glob("*.safetensors")), "--hub", folder, "--licence", "CC-BY-4.0"]
    assert isinstance(export(*again).exception, UserError), "overwritten without --force"
    assert export(*again, "--force").exit_code == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_both_weights_are_read_here_and_by_spandrel(folder: Path) -> None:
    spandrel = pytest.importorskip("spandrel", reason="the extra `models` is missing")
    from repro.inference.spandrel_arch import register

    ours = load_network(folder / "model.pth").network
    registry = spandrel.ArchRegistry()
    register(registry)
    x = torch.rand(1, 3, 5, 8)
    for name in ("model.pth", "model.safetensors"):
        theirs = spandrel.ModelLoader(registry=registry).load_from_file(folder / name)
        assert theirs.scale == 4
        with torch.no_grad():
            assert torch.equal(theirs.model(x), ours(x))
            assert torch.equal(load_network(folder / name).network(x), ours(x))


def test_half_precision_is_told_by_the_file_and_its_card(tmp_path: Path) -> None:
    trained = load_trained(untrained(tmp_path))
    write_hub(trained, tmp_path / "hub", half=Halved("bfloat16", trained.tensors, {"Set5": 0.00123}))
    _, metadata = tensorfile.load(tmp_path / "hub" / "model.safetensors")
    assert metadata["precision"] == {"kernels": "bfloat16", "psnr_change_db": {"Set5": 0.0012}}
    assert "| precision | kernels bfloat16: " in (tmp_path / "hub" / "README.md").read_text()


def test_figures_are_those_of_this_very_run(tmp_path: Path) -> None:
    weights = untrained(tmp_path)
    tensors, about = tensorfile.load(weights)
    tensorfile.save(weights, tensors, about | {"run": "this"})
    for run, shown in (("another", False), ("this", True)):
        results = tmp_path / run
        results.mkdir(exist_ok=True)
        rows = [
            ("Set5", "img_001", about.get("variant"), "daala-1", metric, value, "0", run)
            for metric, value in (("psnr_db", "31.25"), ("ssim", "0.9"))
        ]
        lines = [",".join(map(str, row)) for row in (Row._fields, *rows)]
        (results / "metrics.csv").write_text("\n".join(lines) + "\n")
        hashes = {"metrics.csv": sha256_file(results / "metrics.csv")}
        write_manifest(results / "metrics.manifest.json", make_manifest(kind="metrics", outputs=hashes))
        outcome = export(weights, "--hub", tmp_path / f"hub-{run}", "--results", results)
        assert outcome.exit_code == 0, outcome.output
        assert ("31.25" in (tmp_path / f"hub-{run}" / "README.md").read_text()) == shown


def test_published_weights_go_out_with_their_scores(tmp_path: Path) -> None:
    """Earlier files say what their network is in other words."""
    source = PUBLISHED / "weights" / "SRGAN-VGG22.safetensors"
    outcome = export(source, "--hub", tmp_path / "hub", "--results", tmp_path)
    assert outcome.exit_code == 0, outcome.output
    ours, theirs = load_network(source).network, load_network(tmp_path / "hub" / "model.safetensors").network
    state = theirs.state_dict()
    assert all(torch.equal(state[name], value) for name, value in ours.state_dict().items())
    assert "PSNR [dB] (daala-1)" in (tmp_path / "hub" / "README.md").read_text()
    entry = json.loads((tmp_path / "hub" / "openmodeldb.json").read_text())
    assert entry["size"] == ["16nb"]
    assert entry["license"] is None


# --- uploading --------------------------------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """As much of a hub as a commit of small files needs."""

    asked: list[str]
    files: dict[str, bytes]

    def do_GET(self) -> None:
        self._answer({"id": "me/x4", "sha": "0" * 40, "siblings": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.endswith("/validate-yaml"):
            assert self.headers["Authorization"] == f"Bearer {TOKEN}"
        Hub.asked.append(self.path)
        if self.path.endswith("/validate-yaml"):
            self._answer({"errors": [], "warnings": []})
        elif self.path.endswith("/create"):
            self._answer({"url": f"http://{self.headers['Host']}/me/x4", "name": "me/x4"})
        elif "/preupload/" in self.path:
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]
            self._answer({"files": modes})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    Hub.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            address = f"http://{self.headers['Host']}/me/x4/commit/{'0' * 40}"
            self._answer({"commitUrl": address, "commitOid": "0" * 40, "pullRequestUrl": None})
        else:
            self.send_error(404)

    def _answer(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    library = pytest.importorskip("huggingface_hub", reason="the extra `hub` is missing")
    Hub.asked, Hub.files = [], {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        plain = library.HfApi
        monkeypatch.setattr(library, "HfApi", lambda token: plain(endpoint=address, token=token))
        yield address
        server.shutdown()
        thread.join()


def test_an_upload_sends_the_folder_with_the_users_token(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "private-notes.txt").write_text("mine")
    weights = untrained(tmp_path)
    outcome = export(
        weights, "--hub", tmp_path / "hub", "--force", "--upload", "me/x4", "--results", tmp_path
    )
    assert outcome.exit_code == 0, (outcome.output, outcome.exception)
    assert f"uploaded: {hub}/me/x4" in outcome.output
    assert {name: len(data) for name, data in Hub.files.items()} == {
        name: (tmp_path / "hub" / name).stat().st_size for name in FILES
    }
    assert TOKEN not in outcome.output


def test_nothing_is_sent_unless_asked_with_a_token(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    weights = untrained(tmp_path)
    assert export(weights, "--hub", tmp_path / "a", "--results", tmp_path).exit_code == 0
    for arguments in (
        ["--hub", tmp_path / "b", "--upload", "me/x4"],
        ["--hub", tmp_path / "c", "--upload", "../x"],
        ["--pth", tmp_path / "d.pth", "--upload", "me/x4"],
    ):
        assert isinstance(export(weights, *arguments).exception, UserError)
    assert Hub.asked == []
