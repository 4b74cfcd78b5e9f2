"""All that is measured on a stored image: the values of one image in ``metrics.csv``."""

from __future__ import annotations

from pathlib import Path

from repro.core.errors import UserError
from repro.imaging.io import read_u8
from repro.metrics.protocols import PROTOCOLS

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
        :data:`repro.metrics.protocols.PROTOCOLS`.

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
    return values
