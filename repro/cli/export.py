"""``python -m repro export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from repro.cli import common
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.core.progress import bar

if TYPE_CHECKING:
    from repro.inference.export import Trained
    from repro.inference.half import Halved
    from repro.metrics.score import Score


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="METHOD|RUN|WEIGHTS", help="A method's name, e.g. SRGAN; a run's folder; a weights file."
        ),
    ],
    onnx: Annotated[
        Path | None, typer.Option("--onnx", help="Write ONNX here (needs the extra `export`).")
    ] = None,
    safetensors: Annotated[
        Path | None, typer.Option("--safetensors", help="Write one weights file here, and FILE.md beside it.")
    ] = None,
    licence: Annotated[
        str, typer.Option("--licence", help="Licence of the weights, for the file and its card.")
    ] = "",
    pth: Annotated[
        Path | None, typer.Option("--pth", help="Write a state dict as BasicSR does, for other programs.")
    ] = None,
    half: Annotated[
        bool,
        typer.Option("--half", help="safetensors in half the bytes; refused where a mean PSNR would move."),
    ] = False,
    hub: Annotated[
        Path | None,
        typer.Option(
            "--hub",
            metavar="FOLDER",
            help="Write a folder for model hubs: config, safetensors, .pth, card, openmodeldb.json.",
        ),
    ] = None,
    author: Annotated[
        str, typer.Option("--author", help="For openmodeldb.json.", show_default="srgan-repro")
    ] = "",
    upload: Annotated[
        str,
        typer.Option(
            "--upload",
            metavar="USER/NAME",
            help="Upload that folder to the Hugging Face hub with your own token (HF_TOKEN; extra `hub`).",
        ),
    ] = "",
    private: Annotated[bool, typer.Option("--private", help="Of a repository that --upload makes.")] = False,
    data: common.DataOption = None,
    results: common.ResultsOption = Path("results"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
) -> None:
    """Give a trained network to others: as ONNX, safetensors with a model card, .pth, or a hub's folder.

    ONNX is compared with torch at several sizes before the file gets its name; RGB goes in and comes out in
    [0, 1]; IR version 9, opset 18. Spandrel reads --pth of ESRGAN's family as it is, of SRResNet and SRGAN
    after `repro.inference.spandrel_arch.register()`. Nothing is uploaded without --upload.

    A name stands for what `upscale` would take: a finished run's weights, else those that come along.

    Example: python -m repro export SRGAN --onnx srgan.onnx
    """
    if onnx is None and safetensors is None and pth is None and hub is None:
        got = "no --onnx, --safetensors, --pth or --hub"
        raise UserError(got, "one of them, or several", "--onnx FILE.onnx")
    for option, given, of, beside in (
        ("--upload", upload, "--hub", hub is not None),
        ("--author", author, "--hub", hub is not None),
        ("--private", private, "--upload", upload),
        ("--half", half, "--safetensors or --hub", safetensors is not None or hub is not None),
    ):
        if given and not beside:
            raise UserError(f"{option} without {of}", f"{of} too", f"leave {option} out")
    if hub is not None and hub.exists() and not (force or (hub.is_dir() and not any(hub.iterdir()))):
        raise UserError(
            f"{hub}: already exists", "a new folder", "--force overwrites the model's files in it"
        )
    for path, suffix in ((onnx, ".onnx"), (safetensors, ".safetensors"), (pth, ".pth")):
        if path is not None and path.suffix != suffix:
            raise UserError(f"{path}", f"a name that ends in {suffix}", "choose another name")
        carded = suffix == ".safetensors"
        for there in (path, path.with_suffix(".md") if carded else path) if path is not None else ():
            if there.exists() and not force:
                raise UserError(f"{there}: already exists", "a new name", "--force overwrites")
    from repro.inference.export import export_onnx, export_safetensors, load_trained

    out = common.console()
    file = Path(source)
    if not file.exists() and not file.suffix and len(file.parts) == 1:
        from repro.inference.weights import find_weights

        found = find_weights(source, common.results_layout(results))
        out.print(f"{source}: {found.path.stem}, {found.origin}", markup=False)
        file = found.path
    trained = load_trained(file)
    halved = half_of(trained, data, out) if half else None
    if safetensors is not None:
        card = export_safetensors(trained, safetensors, licence, halved)
        out.print(f"{safetensors} and {card}", markup=False)
    if onnx is not None:
        difference = export_onnx(trained, onnx, licence)
        out.print(f"{onnx}: within {difference:.1e} of torch", markup=False)
    if pth is not None:
        from repro.inference.interpolate import save_pth

        save_pth(trained.network, pth)
    if hub is not None:
        from repro.inference.hub import FILES, write_hub
        from repro.inference.hub import upload as to_the_hub

        write_hub(trained, hub, licence, _scores(trained, file, results), halved, author)
        out.print(f"{hub}: {', '.join(FILES)}", markup=False)
        if upload:
            out.print(f"uploaded: {to_the_hub(hub, upload, private)}", markup=False)
    common.finished(out, onnx or safetensors or pth or hub or "")


def _scores(trained: Trained, source: Path, results: Path) -> dict[str, Score]:
    """The means of this very run's images, where the results folder or the file's own was scored."""
    from repro.evaluation.evaluate import edited, mean_scores
    from repro.evaluation.rows import read_rows

    run = str(trained.metadata.get("run", ""))
    for layout in (Results(results), Results(source.resolve().parent.parent)):
        if run and layout.metrics_csv.is_file() and not edited(layout.metrics_csv):
            scored = read_rows(layout.metrics_csv)
            found = mean_scores(scored, str(trained.metadata.get("variant")), run=run)
            if found:
                return found
    return {}


def half_of(trained: Trained, data: Path | None, out: Console) -> Halved:
    """The weights in half precision, measured on the benchmarks that are there."""
    from repro.inference.half import KINDS, halved, measured_images

    if trained.method.luma:
        raise UserError("--half of a network on luma", "a network on RGB", "leave it out: the file is small")
    images = measured_images(common.data_root(data))
    count = sum(map(len, images.values()))
    with bar(out, "half precision", count * (1 + len(KINDS))) as advance:
        made = halved(trained.tensors, trained.metadata, images, advance)
    change = ", ".join(f"{name} {db:+.5f} dB" for name, db in made.psnr_change_db.items())
    out.print(f"kernels as {made.kernels}: {change}")
    return made
