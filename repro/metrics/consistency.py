"""Whether a result, shrunk again, is the LR image that it was made from."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from repro.imaging.io import to_rgb
from repro.imaging.resize import Border, downscale_u8


def lr_rms(
    hr_u8: NDArray[np.uint8], sr_u8: NDArray[np.uint8], scale: float, border: Border = "replicate"
) -> float:
    """Root mean square of LR - down(SR) in grey levels, over all pixels and channels.

    LR is the original shrunk by MATLAB's bicubic and rounded, as the test sets' LR images are, bit for bit;
    down(SR) is the result treated alike. So an original has 0, and rounding alone makes about 0.4 of a result
    that is exact before it is rounded. What invents detail that the LR image does not bear out has more.

    Args:
        hr_u8: the original, uint8 (H, W, 3), or (H, W) for greyscale.
        sr_u8: the result, of the same size.
        scale: original size over LR size, 1 or more.
        border: of the data set's LR images (:data:`repro.imaging.resize.Border`).
    """
    exact = Fraction(str(scale))
    lr, again = (downscale_u8(to_rgb(image), exact, border)[0] for image in (hr_u8, sr_u8))
    return float(np.sqrt(np.mean((lr.astype(np.float64) - again) ** 2)))
