"""The benchmark table: ``bench/README.md`` made from the JSON files beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from repro.core.atomic import write_text
from repro.core.errors import UserError
from repro.core.jsonfile import read_object


def write_table(folder: Path) -> Path:
    """Writes the table of every measurement in ``folder``; the same files give the same bytes."""
    found = {
        path.stem: read_object(path, next_step="python -m repro bench")
        for path in sorted(folder.glob("*.json"))
    }
    lines = [
        "# Benchmarks",
        "",
        "Medians, as ratios against the plain baseline of the same run; made by `make bench`.",
        "",
    ]
    for name, measured in found.items():
        try:
            lines += _section(name, measured)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            got = f"{folder / name}.json: {type(error).__name__} ({error})"
            raise UserError(got, "a measurement of bench", "remove it, or measure again") from None
    path = folder / "README.md"
    write_text(path, "\n".join(lines).rstrip() + "\n")
    return path


def _section(name: str, measured: dict[str, Any]) -> list[str]:
    versions = measured["versions"]
    lines = [
        f"## {name}",
        "",
        f"{measured['processor']}, {measured['cores']} cores"
        + (f", {measured['device']}" if measured.get("device", "cpu") != "cpu" else "")
        + f"; Python {versions['python']}, torch {versions.get('torch', '-')}.",
        "",
    ]
    if "variants" in measured:
        lines += _training(measured)
    elif "modes" in measured:
        memory = any("peak_resident_mib" in row for row in measured["modes"].values())
        lines += ["| what | megapixels/s | times the baseline |" + " peak memory |" * memory]
        lines += ["| --- | ---: | ---: |" + " ---: |" * memory]
        for label, row in measured["modes"].items():
            peak = f" {row['peak_resident_mib']} MiB |" if memory else ""
            lines.append(f"| {label} | {row['megapixels_per_second']} | {row['times_faster']} |{peak}")
    elif "costs" in measured:
        lines += ["| what | seconds | times | of |", "| --- | ---: | ---: | --- |"]
        for label, row in measured["costs"].items():
            lines.append(f"| {label} | {row['seconds']} | {row['times']} | {row['beside']} |")
    elif "terms" in measured:
        lines += [
            f"Means over the first {measured['batches']} batches of an SRGAN that starts from "
            f"`{measured['start']}`, before its first update.",
            "",
            "| loss term | mean | times the MSE |",
            "| --- | ---: | ---: |",
            *(f"| {name} | {row['mean']} | {row['times_mse']} |" for name, row in measured["terms"].items()),
        ]
        lines += ["", *(f"Not measured: {words}." for words in measured["left_out"])]
    else:
        skip = {"processor", "cores", "versions", "device"}
        lines += ["| what | figure |", "| --- | ---: |"]
        for key, value in measured.items():
            if key not in skip and not isinstance(value, dict):
                lines.append(f"| {key.replace('_', ' ')} | {_figure(value)} |")
    return [*lines, ""]


def _figure(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_figure(v) for v in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _training(measured: dict[str, Any]) -> list[str]:
    # an earlier version wrote one rate for all variants
    one = measured.get("convolution_tflops")
    rates = sorted({entry.get("convolution_tflops", one) for entry in measured["variants"].values()} - {None})
    lines = [
        f"The machine's own {measured.get('arithmetic', 'bfloat16')} convolution rate, forward and backward, "
        f"was {' or '.join(map(str, rates))} TFLOP/s; a batch is crops x HR pixels.",
        "",
        "| variant | batch | execution | ms an update | times the baseline | of the convolution rate "
        "| peak memory |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for variant, entry in measured["variants"].items():
        what = f"{variant} | {entry['batch']}"
        for label, row in entry["modes"].items():
            if "failed" in row:
                lines.append(f"| {what} | {label} | failed: {row['failed']} | | | |")
                continue
            memory = f"{row.get('peak_device_mib') or row['peak_resident_mib']} MiB"
            if "peak_resident_mib" in row:
                memory += " resident"
            lines.append(
                f"| {what} | {label} | {1000 * row['seconds']:.4g} | {row['times_faster']:.2f} "
                f"| {100 * row['fraction_of_convolution_rate']:.0f} % | {memory} |"
            )
    return lines
