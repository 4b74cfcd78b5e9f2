"""How much a network's value varies with its training seed: measured where runs allow, else assumed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.io.training_runs import TrainingRun

ASSUMED: Mapping[tuple[str, str], float] = {
    ("SRGAN", "psnr_db"): 0.07,
    ("SRGAN", "ssim"): 0.004,
    ("", "psnr_db"): 0.03,
    ("", "ssim"): 0.001,
}
"""Standard deviation over seeds by :func:`family` and metric, where nothing was measured: about a third of
the margin or more."""


PLAIN = ("SRResNet-MSE", "SRResNet-VGG22", "DRCN", "ESPCN")
"""Networks of the family "": other papers' networks stand for none of those that are judged."""


@dataclass(frozen=True)
class SeedSpread:
    """A standard deviation over training seeds; ``degrees`` is infinite where it is ``ASSUMED``."""

    deviation: float
    degrees: float

    @property
    def measured(self) -> bool:
        return math.isfinite(self.degrees)


def family(method: str) -> str:
    """``SRGAN`` for the paper's adversarial networks, "" for others: networks of a family vary alike."""
    return "SRGAN" if method.startswith("SRGAN") else ""


def seed_spreads(runs: Iterable[TrainingRun]) -> dict[tuple[str, str], SeedSpread]:
    """By family and metric. PSNR is measured on held-out images, where a configuration was run to its end
    with several seeds; deviations of all such configurations of a family are pooled.
    """
    values: dict[tuple[str, str], dict[int, float]] = {}
    for run in runs:
        name = family(run.variant)
        last, psnr_db = run.validation[-1] if run.validation else (-1, math.nan)
        if (name or run.variant in PLAIN) and last >= run.updates:
            values.setdefault((name, run.apart_from_seed), {})[run.seed] = psnr_db
    squares, degrees = dict.fromkeys(("SRGAN", ""), 0.0), dict.fromkeys(("SRGAN", ""), 0)
    for (name, _), by_seed in values.items():
        mean = sum(by_seed.values()) / len(by_seed)
        squares[name] += sum((value - mean) ** 2 for value in by_seed.values())
        degrees[name] += len(by_seed) - 1
    found = {key: SeedSpread(deviation, math.inf) for key, deviation in ASSUMED.items()}
    for name, count in degrees.items():
        if count:
            found[name, "psnr_db"] = SeedSpread(math.sqrt(squares[name] / count), float(count))
    return found


def told(spreads: Mapping[tuple[str, str], SeedSpread]) -> str:
    """What is assumed and what was measured, for the table's legend."""
    words = []
    for name, networks in (("", "SRResNet, DRCN, ESPCN"), ("SRGAN", "SRGAN")):
        psnr, ssim = spreads[name, "psnr_db"], spreads[name, "ssim"]
        how = f"measured, {psnr.degrees:.0f} degrees of freedom" if psnr.measured else "assumed"
        words.append(f"{networks}: {psnr.deviation:.2g} dB ({how}), {ssim.deviation:.2g} (assumed)")
    return "; ".join(words)
