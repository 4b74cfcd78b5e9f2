"""The dither that daala's `png2y4m` adds before it makes luma: one stream, the same for every image.

Source: protocol, section 4, steps 2 and 3. The stream is sequential by nature (each draw may be redrawn), but
its generator is not: KISS99 is the sum of two multiplications in modular arithmetic, a linear map over
GF(2) and a linear congruence, all of which can be jumped ahead. That makes it quick without a compiler.
"""

from __future__ import annotations

import functools
import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RANGES = (1_223_320_000, 1_479_548_743, 1_255_654_969)
"""Ranges of the triangular deviates of Y, Cb and Cr."""

_U32 = 2**32
_MWC = (36969, 18000)
_LCG = (69069, 1_234_567)
_CHUNKS, _CHUNK = 512, 512  # words drawn at once: chunks are walked side by side


class Kiss99(NamedTuple):
    """The generator's state: two multiply-with-carry words, a shift register and a congruence."""

    z: int = 362_436_069
    w: int = 521_288_629
    jsr: int = 123_456_789
    jcong: int = 380_116_160

    def words(self, count: int) -> tuple[NDArray[np.uint32], Kiss99]:
        """The next ``count`` outputs, uint32, and the state after them."""
        z = _powers(_MWC[0], self.z, count)
        w = _powers(_MWC[1], self.w, count)
        jsr = _shift_register(self.jsr, count)
        jcong = _congruence(self.jcong, count)
        mwc = (z << np.uint64(16)) + w
        words = ((mwc ^ jcong) + jsr).astype(np.uint32)  # the cast takes everything modulo 2**32
        return words, Kiss99(int(z[-1]), int(w[-1]), int(jsr[-1]), int(jcong[-1]))


def _powers(a: int, state: int, count: int) -> NDArray[np.uint64]:
    """States 1..count of s = a (s & 65535) + (s >> 16), which is s -> a s modulo a 2**16 - 1."""
    modulus = np.uint64(a * 65536 - 1)
    states = np.empty(count, np.uint64)
    states[0] = a * (state & 65535) + (state >> 16)
    done, jump = 1, a
    while done < count:
        more = min(done, count - done)
        states[done : done + more] = states[:more] * np.uint64(jump) % modulus
        done, jump = done + more, jump * jump % int(modulus)
    return states


def _congruence(state: int, count: int) -> NDArray[np.uint64]:
    """States 1..count of s = 69069 s + 1234567 modulo 2**32."""
    a, c = _LCG
    states = np.empty(count, np.uint64)
    states[0] = (a * state + c) % _U32
    done = 1
    while done < count:
        more = min(done, count - done)
        states[done : done + more] = (states[:more] * np.uint64(a) + np.uint64(c)) % np.uint64(_U32)
        done, a, c = done + more, a * a % _U32, (a * c + c) % _U32
    return states


def _shift_register(state: int, count: int) -> NDArray[np.uint64]:
    """States 1..count of s ^= s << 17, s ^= s >> 13, s ^= s << 5 modulo 2**32."""
    # columns[b] is the image of bit b under as many steps as are already done
    columns = _shift_step(np.uint64(1) << np.arange(32, dtype=np.uint64))
    states = np.empty(count, np.uint64)
    states[:1] = _shift_step(np.array([state], np.uint64))
    done = 1
    while done < count:
        more = min(done, count - done)
        states[done : done + more] = _linear(columns, states[:more])
        done, columns = done + more, _linear(columns, columns)
    return states


def _shift_step(s: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mask = np.uint64(_U32 - 1)
    s = s ^ (s << np.uint64(17) & mask)
    s = s ^ (s >> np.uint64(13))
    return s ^ (s << np.uint64(5) & mask)


def _linear(columns: NDArray[np.uint64], s: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The GF(2) matrix with these 32 columns times each state, a byte at a time by table."""
    result = np.zeros_like(s)
    for byte in range(4):
        table = np.zeros(1, np.uint64)
        for column in columns[8 * byte : 8 * byte + 8]:
            table = np.concatenate([table, table ^ column])
        result ^= table[(s >> np.uint64(8 * byte)) & np.uint64(255)]
    return result


class DitherStream:
    """What the dither adds to the samples of each 2 x 2 block, in the order of blocks; grown on demand.

    A block's values do not depend on the image, so one stream serves images of all sizes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._generator = Kiss99()
        self._phase = 0  # which of a block's 24 draws (2 for each of 12 deviates) comes next
        self._accepted = np.empty(0, np.int64)  # draws of a block that is not complete yet
        self._blocks = np.empty((0, 4, 3), np.int16)

    def first(self, blocks: int) -> NDArray[np.int16]:
        """The addends to (R, G, B) of the four pixels of blocks 0..blocks-1.

        Returns:
            int16 (blocks, 4, 3), read-only, in units of 16-bit samples (at most about +-800).
        """
        with self._lock:
            if len(self._blocks) < blocks:
                # at least twice as many as before, so that growing costs little in sum
                self._grow(max(blocks, 2 * len(self._blocks)))
            return self._blocks[:blocks]

    def _grow(self, blocks: int) -> None:
        parts, have = [self._blocks], len(self._blocks)
        while have < blocks:
            draws = np.concatenate([self._accepted, self._draw()])
            whole = len(draws) // 24
            self._accepted = draws[24 * whole :]
            parts.append(_addends(draws[: 24 * whole].reshape(whole, 4, 3, 2)))
            have += whole
        self._blocks = np.concatenate(parts)
        self._blocks.flags.writeable = False

    def _draw(self) -> NDArray[np.int64]:
        """The accepted ones of the next words: a draw is repeated while it is not below its limit."""
        words, self._generator = self._generator.words(_CHUNKS * _CHUNK)
        chunks = words.astype(np.int64).reshape(_CHUNKS, _CHUNK)
        limits = np.repeat([(_U32 - 1) // (r + 1) * (r + 1) for r in RANGES], 2)
        # where a chunk starts in the pattern Y Y Cb Cb Cr Cr depends on the chunks before it: walk each
        # from all six places at once, then follow the one that applies
        place = np.broadcast_to(np.arange(6), (_CHUNKS, 6)).copy()
        accepted = np.empty((_CHUNK, _CHUNKS, 6), np.bool_)
        for step in range(_CHUNK):
            accepted[step] = chunks[:, step, None] < limits[place]
            place += accepted[step]
            place[place == 6] = 0
        start = np.empty(_CHUNKS, np.intp)
        phase = self._phase
        for chunk in range(_CHUNKS):
            start[chunk] = phase
            phase = int(place[chunk, phase])
        self._phase = phase
        kept = accepted[:, np.arange(_CHUNKS), start].T
        return chunks[kept]


def _addends(draws: NDArray[np.int64]) -> NDArray[np.int16]:
    """int16 (blocks, 4, 3) from accepted draws (blocks, pixel, Y Cb Cr, first and second draw)."""
    n = np.array(RANGES)[:, None] + 1
    remainders = draws % n
    deviates = remainders[..., 0] - remainders[..., 1]
    yd = deviates[:, :, 0]
    # chroma is shared by the block: its first deviates serve all four pixels
    cd, crd = deviates[:, :1, 1], deviates[:, :1, 2]
    red = rdiv(2 * yd + 3 * crd, 8_176_000)
    green = rdiv(2384 * yd + 361 * cd + 1063 * crd, 9_745_792_000)
    blue = rdiv(2 * yd + 3 * cd, 8_176_000)
    return np.stack([red, green, blue], axis=-1).astype(np.int16)


def rdiv(x: NDArray[np.int64], y: int) -> NDArray[np.int64]:
    """x / y rounded to the nearest integer, halves away from zero (protocol, section 4)."""
    return np.sign(x) * ((np.abs(x) + y // 2) // y)


@functools.cache
def dither_stream() -> DitherStream:
    """The stream of this process."""
    return DitherStream()
