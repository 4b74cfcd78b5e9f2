"""Batch k is a function of (seed, k): which images, which crops, which mirrorings, and their pixels.

The low-resolution crop is cut, as it were, out of the low-resolution image of the whole photograph: crops
lie on multiples of 4 and bring an 8-pixel margin of their real neighbours for the interpolation.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repro.core.streams import stream
from repro.data.packed import Bank
from repro.imaging.ranges import u8_to_01, u8_to_pm1
from repro.imaging.resize_torch import lr_from_windows
from repro.methods.config import Augmentation, TrainConfig
from repro.papers.srgan import SCALE

MARGIN = 8
"""HR pixels around a crop that the 16 taps of the 1/4 reduction reach."""

_TRANSFORMS: dict[Augmentation, int] = {"none": 1, "flip": 2, "dihedral": 8}


class Plan(NamedTuple):
    """Where the crops of one batch lie: int64 arrays of length B.

    ``transforms`` holds bits: 1 mirrors left-right, 2 mirrors top-bottom, 4 transposes (applied in that
    order); 0 leaves the crop as it is.
    """

    images: NDArray[np.int64]
    tops: NDArray[np.int64]
    lefts: NDArray[np.int64]
    transforms: NDArray[np.int64]


def plan_batch(config: TrainConfig, k: int, heights: NDArray[np.int64], widths: NDArray[np.int64]) -> Plan:
    """The crops of batch ``k``: distinct images, corners on multiples of 4.

    Depends on (seed, k), the batch size, the crop size, the augmentation and the images' sizes; on nothing
    else, neither on the variant nor on how many batches came before or how many workers there are.
    """
    rng = stream(config.seed, "batch", k)
    count = config.batch_size
    # with fewer images than the batch is long, whole rounds of all images come first
    rounds = [rng.choice(len(heights), min(count, len(heights)), replace=False)]
    while sum(map(len, rounds)) < count:
        missing = count - sum(map(len, rounds))
        rounds.append(rng.choice(len(heights), min(missing, len(heights)), replace=False))
    images = np.concatenate(rounds).astype(np.int64)
    u = rng.random((2, count))
    tops = (u[0] * ((heights[images] - config.crop_hr) // SCALE + 1)).astype(np.int64) * SCALE
    lefts = (u[1] * ((widths[images] - config.crop_hr) // SCALE + 1)).astype(np.int64) * SCALE
    transforms = rng.integers(0, _TRANSFORMS[config.augmentation], count, dtype=np.int64)
    return Plan(images, tops, lefts, transforms)


def windows_u8(bank: Bank, plan: Plan, crop_hr: int) -> NDArray[np.uint8]:
    """(B, crop + 16, crop + 16, 3) uint8: the planned crops with their margins, mirrored as planned."""
    size = crop_hr + 2 * MARGIN
    out = np.empty((len(plan.images), size, size, 3), np.uint8)
    rows = torch.from_numpy(out)
    for row, number, top, left, transform in zip(rows, *plan, strict=True):
        # numpy copies whole lines at memory speed, mirrored top-bottom or not; what changes the order within
        # a line is done by torch, several times as fast as numpy's strided copy
        window = bank.window_u8(number, top - MARGIN, left - MARGIN, size)
        row.numpy()[:] = window[::-1] if transform & 2 else window
        if transform & 5:
            turned = row.flip(1) if transform & 1 else row.clone()
            row.copy_(turned.transpose(0, 1) if transform & 4 else turned)
    return out


class Batch(NamedTuple):
    """What the losses take: ``lr_01`` (B, 3, c/4, c/4) in [0, 1] and ``hr_pm1`` (B, 3, c, c) in [-1, 1]."""

    lr_01: Tensor
    hr_pm1: Tensor


def batch_from_windows(windows: Tensor) -> Batch:
    """The batch of (B, 3, c + 16, c + 16) uint8 windows, made on the device that they are on."""
    lr = lr_from_windows(windows)
    hr = windows[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN]
    return Batch(
        u8_to_01(lr).contiguous(memory_format=torch.channels_last),
        u8_to_pm1(hr).contiguous(memory_format=torch.channels_last),
    )


class Batches(Protocol):
    """Where a loop gets batch k from."""

    def get(self, k: int) -> Batch: ...

    def close(self) -> None: ...


class HostBatches:
    """Batches cut on the host from the memory-mapped bank, a few ahead of the loop in one thread.

    Args:
        bank: the training images.
        config: seed, batch size, crop size, augmentation.
        device: where the batches are wanted.
        share: (first, last) row of the global batch that this process trains on.
        ahead: how many batches wait at most.
    """

    def __init__(
        self,
        bank: Bank,
        config: TrainConfig,
        device: torch.device,
        share: tuple[int, int] | None = None,
        ahead: int = 4,
    ) -> None:
        self.bank = bank
        self.config = config
        self.device = device
        self.share = slice(*(share or (0, config.batch_size)))
        self._ahead = ahead
        self._queue: queue.Queue[tuple[int, Batch | BaseException]] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def make(self, k: int) -> Batch:
        """Batch ``k``, made now."""
        plan = plan_batch(self.config, k, self.bank.heights, self.bank.widths)
        plan = Plan(*(values[self.share] for values in plan))
        windows = torch.from_numpy(windows_u8(self.bank, plan, self.config.crop_hr))
        if self.device.type == "cuda":
            windows = windows.pin_memory().to(self.device, non_blocking=True)
        return batch_from_windows(windows.permute(0, 3, 1, 2))

    def _fill(self, first: int) -> None:
        for k in range(first, self.config.updates):
            try:
                item: tuple[int, Batch | BaseException] = (k, self.make(k))
            except BaseException as error:  # noqa: BLE001 handed to the loop, which raises it
                item = (k, error)
            while not self._stop.is_set():
                try:
                    self._queue.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
            if self._stop.is_set() or isinstance(item[1], BaseException):
                return

    def get(self, k: int) -> Batch:
        """Batch ``k``; asked for in order, it is there already."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._fill, args=(k,), daemon=True, name="batches")
            self._thread.start()
        number, item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        if number != k:
            raise RuntimeError(f"batch {k} asked for, {number} is next: batches come in order")
        return item

    def close(self) -> None:
        """Ends the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._thread = None


class DeviceBatches:
    """Batches gathered on the device from a copy of the whole bank in its memory.

    The host only sends where the crops lie (a few hundred numbers a batch). Pixels come out the same as
    from :class:`HostBatches`.
    """

    def __init__(
        self, bank: Bank, config: TrainConfig, device: torch.device, share: tuple[int, int] | None = None
    ) -> None:
        self.config = config
        self.device = device
        self.share = slice(*(share or (0, config.batch_size)))
        self._heights, self._widths = bank.heights, bank.widths
        self._pixels = torch.cat([torch.from_numpy(np.array(c)).to(device) for c in bank.chunks()])
        self._geometry = torch.from_numpy(np.stack([bank.flat_offsets(), bank.heights, bank.widths]))

    def plan_tensor(self, k: int) -> Tensor:
        """(6, B) int64 on the host: offset, height, width, top, left, transform of each crop."""
        plan = plan_batch(self.config, k, self._heights, self._widths)
        images, tops, lefts, transforms = (torch.from_numpy(values[self.share]) for values in plan)
        return torch.cat([self._geometry[:, images], torch.stack([tops, lefts, transforms])])

    def gather(self, plan: Tensor) -> Batch:
        """The batch of a :meth:`plan_tensor` on the device; no synchronisation, shapes are fixed."""
        size = self.config.crop_hr + 2 * MARGIN
        offset, height, width, top, left, transform = (row.view(-1, 1, 1) for row in plan)
        i = torch.arange(size, device=self.device).view(1, -1, 1)
        j = torch.arange(size, device=self.device).view(1, 1, -1)
        transposed = (transform & 4) != 0
        row, column = torch.where(transposed, j, i), torch.where(transposed, i, j)
        row = torch.where((transform & 2) != 0, size - 1 - row, row)
        column = torch.where((transform & 1) != 0, size - 1 - column, column)
        y = torch.minimum((top - MARGIN + row).clamp_min(0), height - 1)
        x = torch.minimum((left - MARGIN + column).clamp_min(0), width - 1)
        first = offset + 3 * (y * width + x)
        windows = self._pixels[first[:, None] + torch.arange(3, device=self.device).view(1, 3, 1, 1)]
        return batch_from_windows(windows)

    def get(self, k: int) -> Batch:
        plan = self.plan_tensor(k)
        if self.device.type == "cuda":
            plan = plan.pin_memory().to(self.device, non_blocking=True)
        return self.gather(plan)

    def close(self) -> None:
        """Nothing to end."""


def batches_from(batches: Batches, first: int, last: int) -> Iterator[Batch]:
    """Batches ``first`` to ``last - 1`` in order."""
    for k in range(first, last):
        yield batches.get(k)
