"""Results on disk: every image of a data set by one method, as PNGs in the image store."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from repro.core.atomic import write_json
from repro.core.errors import UserError
from repro.core.jsonfile import read_object
from repro.core.manifest import make_manifest, write_manifest
from repro.core.parallel import over_images
from repro.core.paths import Results, checked_name
from repro.data.benchmarks import EvaluationImage, load_dataset
from repro.imaging.io import sha256_file, write_png
from repro.inference.upscaler import Upscaler
from repro.methods import DIRECT

Progress = Callable[[int], None]
OWN, IMPORTED = "result images", "imported result images"
"""What the manifests of the image store call the two kinds of results."""

RESERVED = ("hr", "nearest", "bicubic")
"""Names in the store that mean the originals and the interpolations: no weights may bear them."""

_GROUP = 25
"""Images whose low-resolution pixels are in memory together, where no cluster waits for all of them."""

_RECORD_SECONDS = 5
"""After so long it is written down which images are done."""


def _lr_digest(images: tuple[EvaluationImage, ...]) -> str:
    digest = hashlib.sha256()
    for image in images:
        digest.update(image.image.encode() + b"\0" + np.ascontiguousarray(image.lr_u8()).tobytes())
    return digest.hexdigest()


def kept(folder: Path, inputs: dict[str, str], names: list[str]) -> bool:
    """Whether a method's folder already holds exactly these images, unchanged, from these inputs."""
    try:
        manifest = read_object(folder / "manifest.json")
        outputs = manifest["outputs"]
        if manifest["inputs"] != inputs or sorted(outputs) != sorted(names):
            return False
        return all(sha256_file(folder / f"{name}.png") == outputs[name] for name in names)
    except (UserError, OSError, KeyError, TypeError):
        return False


def store_images(
    results: Results,
    dataset: str,
    method: str,
    inputs: dict[str, str],
    images: tuple[EvaluationImage, ...],
    make: Callable[[list[EvaluationImage]], Iterable[NDArray[np.uint8]]],
    progress: Progress = lambda done: None,
    notes: tuple[str, ...] = (),
    kind: str = OWN,
    together: int = _GROUP,
    **extra: Any,
) -> bool:
    """Writes one method's images of a data set, and their manifest last; the way into the image store.

    Args:
        results: where the store is.
        dataset: the data set.
        method: the folder's name. Imported images carry their origin in brackets; results of ours do not.
        inputs: name -> hash of all that the images depend on; what is there from the same inputs is kept.
        images: what the store holds afterwards, and nothing else.
        make: the pixels of a few images at a time.
        progress: called with the number of images just done.
        notes: sentences that every reader of the results must see.
        kind: :data:`OWN` or :data:`IMPORTED`.
        together: images that ``make`` is given at a time.
        extra: more fields of the manifest.

    Returns:
        Whether anything was written.

    Raises:
        UserError: a name of the other kind, or the folder holds images of the other kind.
    """
    folder = results.method_folder(dataset, method)
    _check_kind(folder, method, kind)
    names = [image.image for image in images]
    if kept(folder, inputs, names):
        progress(len(images))
        return False
    with only_writer(folder):
        results.method_manifest(dataset, method).unlink(
            missing_ok=True
        )  # half of these and half of those: never
        record = folder / "unfinished.json"
        outputs = _begun(record, inputs)
        left = [image for image in images if image.image not in outputs]
        progress(len(images) - len(left))
        recorded = time.monotonic()
        try:
            for start in range(0, len(left), together):
                part = left[start : start + together]
                for image, pixels in zip(part, make(part), strict=True):
                    outputs[image.image] = write_png(results.image(dataset, method, image.image), pixels)
                    progress(1)
                    if time.monotonic() - recorded > _RECORD_SECONDS:
                        write_json(record, {"inputs": inputs, "outputs": outputs})
                        recorded = time.monotonic()
        except BaseException:
            write_json(record, {"inputs": inputs, "outputs": outputs})
            raise
        for surplus in set(folder.glob("*.png")) - {results.image(dataset, method, name) for name in names}:
            surplus.unlink()
        if images[0].scale != 4:  # what readers take where nothing is said
            extra["scale"] = images[0].scale
        manifest = make_manifest(
            kind=kind,
            inputs=inputs,
            outputs=outputs,
            notes=list(notes),
            dataset=dataset,
            method=method,
            **extra,
        )
        write_manifest(results.method_manifest(dataset, method), manifest)
        record.unlink(missing_ok=True)
        return True


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """A folder in which nobody else writes images meanwhile; the system lets go of the lock at any end.

    Raises:
        UserError: somebody does.
    """
    locks = folder.parents[2] / ".locks"  # beside the images, where nothing else looks
    locks.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(locks / f"{folder.parent.name} {folder.name}.lock", timeout=0):
            yield
    except Timeout:
        raise UserError(
            f"{folder}: another process writes there", "one at a time", "wait for it, then start again"
        ) from None


def _begun(record: Path, inputs: dict[str, str]) -> dict[str, str]:
    """Image -> hash of those that an interrupted call has made from the same inputs."""
    try:
        begun = read_object(record)
        if begun["inputs"] != inputs:
            return {}
        return {
            name: digest
            for name, digest in begun["outputs"].items()
            if sha256_file(record.parent / f"{name}.png") == digest
        }
    except (UserError, OSError, KeyError, AttributeError):
        return {}


def _check_kind(folder: Path, method: str, kind: str) -> None:
    """Results of ours and imported ones never share a folder, nor the look of their names."""
    if ("(" in method) != (kind == IMPORTED):
        raise UserError(
            f"{kind} as method {method!r}",
            "the origin in brackets for imported images, and no brackets for results of this program",
            "choose another --method",
        )
    try:
        there = read_object(folder / "manifest.json")["kind"]
    except (UserError, KeyError):
        return
    if there != kind and IMPORTED in (there, kind):
        raise UserError(f"{folder}: holds {there}", kind, f"choose another --method, or remove {folder}")


def check_free(name: str, manifest: Path | None = None, sha256: str = "") -> None:
    """That anyone's model may have a name: no method of this program has it, and no other weights.

    Args:
        name: in the image store.
        manifest: of the images that bear it already; need not exist.
        sha256: of the weights that may have made them; empty for any.

    Raises:
        UserError: it may not.
    """
    from repro.methods.variants import trainable

    known = {each.lower() for each in (*RESERVED, *DIRECT, "SRCNN", *trainable())}
    if checked_name(name, "name").lower() in known or "(" in name or ")" in name:
        raise UserError(f"the name {name!r}", "one that no method here has, without brackets", "--name NAME")
    if manifest is None or not sha256 or not manifest.is_file():
        return
    inputs = read_object(manifest).get("inputs")
    if not isinstance(inputs, dict) or inputs.get("weights") != sha256:
        raise UserError(
            f"{manifest.parent}: images by other weights", "a new name", "--name NAME, or --force"
        )


def _apply(method: Upscaler, lr_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One image by an upscaler: what a worker of a cluster does."""
    (sr,) = method([lr_u8])
    return sr


def upscale_dataset(
    results: Results,
    dataset: str,
    method: Upscaler,
    data_root: Path | None,
    progress: Progress = lambda done: None,
    dask: str = "",
) -> bool:
    """Writes ``images/<dataset>/<method>/<image>.png`` for every image, and the manifest last.

    Images that exist from the same inputs are kept. With the address of a Dask scheduler each image is a task
    of its own (:func:`repro.core.parallel.over_images`); pixels go there and back, workers need no files.

    Returns:
        Whether anything was written.

    Raises:
        UserError: the data set is not all there, of another scale, or weights under a name of
            :data:`RESERVED`.
    """
    if method.name.lower() in RESERVED and "weights" in method.inputs:
        raise UserError(
            f"weights as method {method.name!r}", "a name of their own in the image store", "--method NAME"
        )
    images = load_dataset(dataset, data_root)
    if any(image.scale != method.scale for image in images):
        raise UserError(
            f"{method.name} at x{method.scale:g} for {dataset}, which is reduced by {images[0].scale}",
            f"a method at x{images[0].scale}",
            "weights of that scale; files of your own may have any: python -m repro upscale FILE",
        )

    def lr_u8(image: EvaluationImage) -> NDArray[np.uint8]:
        return np.ascontiguousarray(image.lr_native_u8() if method.takes_grey else image.lr_u8())

    def make(part: list[EvaluationImage]) -> Iterable[NDArray[np.uint8]]:
        given = [lr_u8(image) for image in part]
        return over_images(_apply, given, dask=dask, shared=method) if dask else method(given)

    inputs = {"low-resolution images": _lr_digest(images)} | dict(method.inputs)
    return store_images(
        results,
        dataset,
        method.name,
        inputs,
        images,
        make,
        progress,
        method.notes,
        together=len(images) if dask else _GROUP,
        run=method.run,
    )


def store_originals(results: Results, dataset: str, data_root: Path | None) -> bool:
    """Writes the originals as method ``HR``, so that the store holds all that is shown and scored.

    A greyscale file stays one: the community's protocol scores it as such (section 7).
    """
    images = load_dataset(dataset, data_root)
    inputs = {image.image: image.hr_file_sha256() for image in images}
    return store_images(
        results,
        dataset,
        "HR",
        inputs,
        images,
        lambda part: [np.ascontiguousarray(image.hr_native_u8()) for image in part],
        run="",
    )
