"""A folder as model hubs expect it, with OpenModelDB's description; uploading only on request."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.core import tensorfile
from repro.core.atomic import write_json, write_text
from repro.core.errors import UserError
from repro.core.manifest import date_of_publication
from repro.imaging.io import sha256_file
from repro.inference.export import LICENCE, Trained, model_card
from repro.inference.half import Halved
from repro.inference.interpolate import save_pth
from repro.methods import legacy
from repro.metrics.score import Score
from repro.papers.protocols import DAALA

WEIGHTS, STATE_DICT, CARD, CONFIG, MODEL_DB = (
    "model.safetensors", "model.pth", "README.md", "config.json", "openmodeldb.json",
)  # fmt: skip
FILES = (WEIGHTS, STATE_DICT, CARD, CONFIG, MODEL_DB)
"""What :func:`write_hub` writes and :func:`upload` uploads; nothing else in the folder is touched."""

SPDX = {"mit": "MIT", "apache-2.0": "Apache-2.0", "bsd-3-clause": "BSD-3-Clause", "cc0-1.0": "CC0-1.0",
        "cc-by-4.0": "CC-BY-4.0", "cc-by-sa-4.0": "CC-BY-SA-4.0", "cc-by-nc-4.0": "CC-BY-NC-4.0",
        "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0"}  # fmt: skip
"""Licences that hubs know, by their name in lower case."""

_ARCHITECTURES = {"srgan": "sr-res-net"}
"""OpenModelDB's names where they are not ours."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def write_hub(
    trained: Trained,
    folder: Path,
    licence: str = "",
    scores: Mapping[str, Score] | None = None,
    half: Halved | None = None,
    author: str = "",
) -> None:
    """Writes :data:`FILES`.

    The tensors of ``model.safetensors`` and ``model.pth`` have the network's own names, as spandrel reads
    them; this program takes both files too.

    Args:
        trained: the network.
        folder: made if need be.
        licence: of the weights; a name of :data:`SPDX`, or any other words.
        scores: data set -> mean PSNR and SSIM (daala-1) of these weights.
        half: the same weights in half precision, for ``model.safetensors``; ``model.pth`` stays in full.
        author: for OpenModelDB: letters, digits and hyphens.

    Raises:
        UserError: no such author's name.
    """
    author = author or "srgan-repro"
    if not re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", author):
        raise UserError(f"author {author!r}", "letters, digits and single hyphens", "--author my-name")
    metadata = legacy.description(trained.metadata)
    metadata["licence"] = licence or str(metadata.get("licence", LICENCE))
    if half is not None:
        metadata["precision"] = half.precision()
    tensors = trained.tensors if half is None else half.tensors
    bare = {name.removeprefix("generator."): tensor for name, tensor in tensors.items()}
    tensorfile.save(folder / WEIGHTS, bare, metadata)
    save_pth(trained.network, folder / STATE_DICT)
    write_json(folder / CONFIG, _config(trained, metadata))
    sha256 = sha256_file(folder / WEIGHTS)
    body = model_card(trained, metadata, WEIGHTS, sha256, scores or {})
    write_text(folder / CARD, _front_matter(trained, metadata, scores or {}) + body)
    write_json(folder / MODEL_DB, _open_model_db(trained, metadata, folder, author))


def _config(trained: Trained, metadata: Mapping[str, Any]) -> dict[str, Any]:
    exported = trained.method.exported(trained.network, trained.scale)
    return {
        "model_type": trained.method.key,
        "architectures": [type(trained.network).__name__],
        "variant": metadata.get("variant", trained.method.key),
        "scale": trained.scale,
        "network": metadata.get("network", {}),
        "num_parameters": sum(p.numel() for p in trained.network.parameters()),
        "num_channels": exported.channels,
        "onnx": exported.words,
        "citation": trained.method.citation,
    }


def _front_matter(trained: Trained, metadata: Mapping[str, Any], scores: Mapping[str, Score]) -> str:
    """The card's YAML; each value is JSON, which YAML contains, so that no text can end its line."""
    licence = str(metadata["licence"])
    fields: dict[str, Any] = {"license": licence.lower() if licence.lower() in SPDX else "other"}
    if fields["license"] == "other":
        fields["license_name"] = re.sub(r"[^a-z0-9]+", "-", licence.lower()).strip("-")[:60] or "other"
    fields |= {
        "pipeline_tag": "image-to-image",
        "library_name": "pytorch",
        "tags": ["super-resolution", "image-super-resolution", trained.method.key],
    }
    if scores:
        results = [
            {
                "task": {"type": "image-to-image", "name": f"x{trained.scale:g} super-resolution"},
                "dataset": {"type": dataset, "name": dataset},
                "metrics": [
                    {"type": "psnr", "name": f"PSNR [dB] ({DAALA})", "value": round(score.psnr_db, 2)},
                    {"type": "ssim", "name": f"SSIM ({DAALA})", "value": round(score.ssim, 4)},
                ],
            }
            for dataset, score in scores.items()
        ]
        fields["model-index"] = [{"name": metadata.get("variant", trained.method.key), "results": results}]
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()]
    return "\n".join(["---", *lines, "---", "", ""])


def _open_model_db(
    trained: Trained, metadata: Mapping[str, Any], folder: Path, author: str
) -> dict[str, Any]:
    """A model's entry; the ``urls`` are for whoever uploads the file to fill in."""
    path, key = folder / STATE_DICT, trained.method.key
    network = metadata.get("network", {})
    sizes = {"channels": "nf", "blocks": "nb", "residual_blocks": "nb"}
    channels = trained.method.exported(trained.network, trained.scale).channels
    entry = {
        "name": str(metadata.get("variant", key)),
        "author": author,
        "license": SPDX.get(str(metadata["licence"]).lower()),
        "tags": ["general-upscaler", "photo", "research"],
        "description": f"{trained.method.citation}. " + " ".join(map(str, metadata.get("notes", []))),
        "date": date_of_publication(),
        "architecture": _ARCHITECTURES.get(key, key.replace("_", "-")),
        "size": [f"{network[name]}{unit}" for name, unit in sizes.items() if name in network] or None,
        "scale": trained.scale,
        "inputChannels": channels,
        "outputChannels": channels,
        "resources": [
            {
                "platform": "pytorch",
                "type": "pth",
                "size": path.stat().st_size,
                "sha256": sha256_file(path),
                "urls": [],
            }
        ],
        "images": [],
    }
    config = trained.manifest.get("config", {})
    data = config.get("data", config)  # flat in earlier versions
    told = {
        "trainingIterations": metadata.get("updates"),
        "trainingBatchSize": data.get("batch_size"),
        "trainingHRSize": data.get("crop_hr"),
        "dataset": metadata.get("training data"),
    }
    return entry | {name: value for name, value in told.items() if value is not None}


def upload(folder: Path, repository: str, private: bool = False) -> str:
    """Uploads :data:`FILES` of a folder with the user's own token; gives the page's address.

    The token is HF_TOKEN's or the one that ``hf auth login`` stored, and goes nowhere but to the hub.

    Raises:
        UserError: no such name, no package, no token, or the hub refuses.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise UserError(f"--upload {repository!r}", "USER/NAME", "--upload me/srgan-x4")
    if importlib.util.find_spec("huggingface_hub") is None:
        raise UserError("--upload needs huggingface_hub", "the extra `hub`", "pip install -e '.[hub]'")
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError

    token = get_token()
    if not token:
        raise UserError("--upload without a token", "your own, in HF_TOKEN", "hf auth login")
    refused: Any = (*HfHubHTTPError.__bases__, ValueError)  # what its transport raises, and OSError
    api = HfApi(token=token)
    try:
        page = api.create_repo(repository, private=private, exist_ok=True)
        words = f"{folder.name} by srgan-repro"
        api.upload_folder(
            folder_path=folder, repo_id=repository, commit_message=words, allow_patterns=list(FILES)
        )
    except refused as error:
        words = " ".join(str(error).split())[:300]
        raise UserError(f"--upload {repository}: {words}", "a hub that answers", "try again") from None
    return str(page)
