"""The protocols of `metrics.csv` by their versioned names, and what older files called them.

A protocol's name fixes channel, shave, window and rounding, so that two values under one name are comparable.
What changes a value gets a new number. How they are computed: :mod:`repro.metrics`.
"""

from __future__ import annotations

DAALA = "daala-1"
YCHANNEL = "ychannel-1"
YCHANNEL_EDSR = "ychannel-edsr-1"
YCHANNEL_U8 = "ychannel-u8-1"
NIQE = "niqe-1"
CONSISTENCY = "lr-1"
SPECTRUM = "spectrum-1"
RGB = "rgb-1"

PSNR_SSIM = {
    DAALA: "luma as daala's png2y4m makes it (BT.709, 4:2:0, dithered), SSIM of dump_ssim: the SRGAN paper's",
    YCHANNEL: "BT.601 luma, not rounded, Wang's SSIM: SAN's, SRFBN's, RCAN's and ESRGAN's",
    YCHANNEL_EDSR: "luma with EDSR's coefficients, not rounded, Wang's SSIM: EDSR's and Meta-SR's",
    YCHANNEL_U8: "BT.601 luma rounded to 8 bits, Wang's SSIM: SelfExSR's and most bicubic rows",
}
"""The protocols that give PSNR and SSIM; each leaves out as many pixels a side as the scale."""

OTHERS = {
    NIQE: "NIQE of BT.601 luma, as many pixels a side left out as the scale; no original is needed",
    CONSISTENCY: "rms of LR - down(SR) in grey levels: MATLAB's bicubic, RGB, border replicated",
    SPECTRUM: "power of ychannel-1's luma over the original's by octave of frequency, finest first",
    RGB: "RGB, as many pixels a side left out as the scale: LPIPS, DISTS and others of pyiqa",
}
"""The other protocols of `metrics.csv`."""

DESCRIPTIONS = PSNR_SSIM | OTHERS

ALIASES = {"daala": DAALA, "wang": YCHANNEL_U8}
"""What files and commands of version 0.1 call a protocol, and what it is called since."""


def current_name(protocol: str, metric: str = "psnr_db") -> str:
    """The versioned name of a protocol: its own, or what :data:`ALIASES` makes of an older one.

    Args:
        protocol: as a file or a command has it; an unknown one comes back as it is.
        metric: the row's; `wang` once also stood for measures of RGB.
    """
    if protocol == "wang" and metric not in ("psnr_db", "ssim"):
        return RGB
    return ALIASES.get(protocol, protocol)
