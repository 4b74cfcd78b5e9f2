"""Named random streams: every draw in the project comes from one of these."""

from __future__ import annotations

import hashlib

import numpy as np


def stream_key(seed: int, *names: str | int) -> int:
    """A 128-bit key that depends on ``seed`` and the whole sequence of ``names``.

    Names are length-prefixed before they are hashed, so ("ab", "c") and ("a", "bc") differ.
    """
    digest = hashlib.sha256(f"{seed}".encode())
    for name in names:
        part = f"{type(name).__name__}:{name}".encode()
        digest.update(len(part).to_bytes(8, "little") + part)
    return int.from_bytes(digest.digest()[:16], "little")


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """The random generator called ``names`` of the seed, always at its beginning.

    Args:
        seed: the one seed of a run, a study or an analysis.
        names: what the draws are for, e.g. ``("crops", 17)`` for training batch 17. Because a batch's
            stream is a function of (seed, k), resuming needs no iterator state.

    Returns:
        A generator over Philox (counter-based: the same draws on every machine and numpy >= 1.17).
    """
    return np.random.Generator(np.random.Philox(key=stream_key(seed, *names)))
