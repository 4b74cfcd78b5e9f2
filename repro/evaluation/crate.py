"""RO-Crate 1.1 of a results folder: one ``ro-crate-metadata.json``, made from the manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from repro.core.atomic import write_json
from repro.core.errors import UserError
from repro.core.jsonfile import read_object
from repro.core.manifest import date_of_publication
from repro.core.paths import Results
from repro.imaging.io import sha256_file

FILE = "ro-crate-metadata.json"
_CONTEXT = ["https://w3id.org/ro/crate/1.1/context", {"sha256": "https://schema.org/sha256"}]
"""RO-Crate 1.1 is older than schema.org's word for the hash."""
_TYPES = {
    ".png": "image/png", ".pdf": "application/pdf", ".csv": "text/csv", ".json": "application/json",
    ".md": "text/markdown", ".html": "text/html", ".tex": "text/x-tex", ".txt": "text/plain",
}  # fmt: skip
_LICENCE = {
    "@id": "#licence",
    "@type": "CreativeWork",
    "name": "research use only",
    "description": "Images and weights keep their owners' terms; the code is under the MIT licence.",
}

Entity = dict[str, Any]


def write_crate(results: Results) -> int:
    """Writes the crate's metadata file; gives the number of files that it describes.

    Every manifest becomes an action with its program, inputs and outputs; files that a manifest lists and
    that are not there (published runs leave images out) are told by name and hash.

    Raises:
        UserError: no manifest there.
    """
    manifests = sorted(path for path in results.root.rglob("*manifest.json") if path.is_file())
    if not manifests:
        raise UserError(f"{results.root}: no manifest", "a results folder", "python -m repro evaluate")
    entities: dict[str, Entity] = {}
    for path in manifests:
        for entity in _of_manifest(results, path):
            entities.setdefault(entity["@id"], entity)
    files = [{"@id": each} for each, entity in entities.items() if entity["@type"] == "File"]
    actions = [{"@id": each} for each, entity in entities.items() if entity["@type"] == "CreateAction"]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": "Super-resolution results",
        "description": "Images, scores, tables and figures of SRGAN (Ledig et al., CVPR 2017) and the "
        "systems after it, as this program's manifests record them.",
        "datePublished": date_of_publication(),
        "license": {"@id": _LICENCE["@id"]},
        "hasPart": _compact(files),
        "mentions": _compact(actions),
    }
    descriptor = {
        "@id": FILE,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    graph = [descriptor, root, _LICENCE, *entities.values()]
    write_json(results.root / FILE, {"@context": _CONTEXT, "@graph": graph})
    return len(files)


def _of_manifest(results: Results, path: Path) -> Iterator[Entity]:
    """The manifest itself, its program, its action, and the files on both sides."""
    manifest = read_object(path)
    place = path.parent.relative_to(results.root)
    yield (record := _file(results.root, path))
    software = _software(manifest)
    yield software
    sides: dict[str, list[Entity]] = {"inputs": [], "outputs": []}
    for side, found in sides.items():
        for name, value in _strings(manifest.get(side)).items():
            found.append(_thing(results, path.parent, name, value))
            yield found[-1]
    notes = manifest.get("notes")
    action = {
        "@id": f"#made-{quote(path.relative_to(results.root).as_posix())}",
        "@type": "CreateAction",
        "name": f"{manifest.get('kind', 'results')} in {place.as_posix()}",
        "instrument": {"@id": software["@id"]},
        "object": _compact([{"@id": entity["@id"]} for entity in sides["inputs"]]),
        "result": _compact([{"@id": entity["@id"]} for entity in (*sides["outputs"], record)]),
    }
    if isinstance(notes, list) and notes:
        action["description"] = " ".join(str(note) for note in notes)
    yield action


def _compact(values: list[Entity]) -> list[Entity] | Entity:
    """A list of one as JSON-LD's compacted form has it."""
    return values[0] if len(values) == 1 else values


def _thing(results: Results, folder: Path, name: str, value: str) -> Entity:
    """An input or output: the file that it is, where it is here and unchanged, else its name and hash."""
    suffixed = name if Path(name).suffix else f"{name}.png"
    for path in (folder / name, folder / suffixed, results.images / suffixed):
        inside = path.resolve().is_relative_to(results.root.resolve())
        if inside and path.is_file() and sha256_file(path) == value:
            return _file(results.root, path)
    return {"@id": f"#{quote(name, safe='')}-{quote(value, safe='')}", "@type": "Thing", "name": name,
            "identifier": value}  # fmt: skip


def _file(root: Path, path: Path) -> Entity:
    relative = path.relative_to(root).as_posix()
    entity = {
        "@id": quote(relative),
        "@type": "File",
        "name": relative,
        "contentSize": str(path.stat().st_size),
        "sha256": sha256_file(path),
    }
    if path.suffix in _TYPES:
        entity["encodingFormat"] = _TYPES[path.suffix]
    return entity


def _software(manifest: Mapping[str, Any]) -> Entity:
    git = manifest.get("git")
    commit = str(git.get("commit")) if isinstance(git, dict) else "unknown"
    return {"@id": f"#program-{commit}", "@type": "SoftwareApplication", "name": "srgan-repro",
            "softwareVersion": f"commit {commit}"}  # fmt: skip


def _strings(value: Any) -> dict[str, str]:
    return {str(name): str(each) for name, each in value.items()} if isinstance(value, dict) else {}
