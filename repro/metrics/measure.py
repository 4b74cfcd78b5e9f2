"""All that is measured on a stored image: the values of one image in ``metrics.csv``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from repro.core.errors import UserError
from repro.imaging.io import read_u8
from repro.metrics.consistency import lr_rms
from repro.metrics.niqe import niqe
from repro.metrics.protocols import PROTOCOLS, pixels_shaved, shaved_pair
from repro.metrics.spectrum import octave_db
from repro.metrics.ychannel import float_planes
from repro.papers.protocols import CONSISTENCY, NIQE, SPECTRUM

Values = dict[tuple[str, str], float]
"""(protocol, metric) -> value."""


def measure_files(hr: Path, sr: Path, scale: float) -> Values:
    """Every measure of a result, each file decoded once.

    Args:
        hr: the original's file.
        sr: the result's file, an image of the same size.
        scale: of the result.

    Returns:
        By protocol and metric: PSNR in dB and SSIM under every protocol of
        :data:`repro.metrics.protocols.PROTOCOLS`, NIQE, the rms of LR - down(SR), and the level of each
        octave. NIQE is left out of an image that is too small or too flat for it.

    Raises:
        UserError: different sizes, or too small an image for PSNR and SSIM.
    """
    hr_u8, sr_u8 = read_u8(hr), read_u8(sr)
    values: Values = {}
    try:
        for name, protocol in PROTOCOLS.items():
            values[name, "psnr_db"], values[name, "ssim"] = protocol.measure(hr_u8, sr_u8, scale)
    except UserError as error:
        raise UserError(f"{hr} and {sr}: {error.got}", error.expected, error.next_step) from None
    with suppress(UserError):  # too small, or flat
        values[NIQE, "niqe"] = niqe(sr_u8, pixels_shaved(scale))
    values[CONSISTENCY, "lr_rms"] = lr_rms(hr_u8, sr_u8, scale)
    planes = float_planes(*shaved_pair(hr_u8, sr_u8, scale, 1, SPECTRUM))
    for number, level in enumerate(octave_db(*planes), start=1):
        values[SPECTRUM, f"octave{number}_db"] = level
    return values
