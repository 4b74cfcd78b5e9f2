"""How much detail a result has in each octave of spatial frequency, compared with its original.

PSNR prefers results without detail to results with the wrong detail. The power spectrum is blind to where
detail lies and sees how much there is: blur lacks power in the finest octaves, ringing has too much.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

OCTAVES = (0.5, 0.25, 0.125)
"""Upper ends of the octaves in cycles a pixel, finest first; 0.5 is the finest that pixels can show."""

_ROUNDING_NOISE = 1 / 12
"""Variance of rounding to whole grey levels: detail below it is none that an 8-bit image could show."""


def octave_db(hr_luma: NDArray[np.float64], sr_luma: NDArray[np.float64]) -> tuple[float, ...]:
    """Power of the result over that of the original in each of :data:`OCTAVES`, in dB.

    10 log10((P_sr + n) / (P_hr + n)): P is the power of the Hann-windowed luma within the octave, summed over
    all directions, and n the power of rounding noise there. 0 is as much detail as the original has, negative
    values are detail that is missing, positive ones detail too much.

    Args:
        hr_luma, sr_luma: float64 (H, W) of the same size, 0..255.
    """
    height, width = hr_luma.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    frequency = np.hypot(scipy.fft.fftfreq(height)[:, None], scipy.fft.rfftfreq(width)[None, :])
    hr, sr = (np.abs(scipy.fft.rfft2((luma - luma.mean()) * window)) ** 2 for luma in (hr_luma, sr_luma))
    noise = _ROUNDING_NOISE * np.sum(window**2)
    values = []
    for upper in OCTAVES:
        octave = (frequency > upper / 2) & (frequency <= upper)
        n = noise * np.count_nonzero(octave)
        values.append(float(10 * np.log10((sr[octave].sum() + n) / (hr[octave].sum() + n))))
    return tuple(values)
