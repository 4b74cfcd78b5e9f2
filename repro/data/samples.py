"""The pixels of batch k, as :func:`repro.data.plan.plan_batch` plans it, cut on the host or on the device.

The low-resolution crop is cut, as it were, out of the low-resolution image of the whole photograph: crops
lie on multiples of the scale and bring a margin of their real neighbours for the interpolation.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repro.data.packed import PackedDataset
from repro.data.plan import DataSettings, Plan, plan_batch
from repro.imaging.ranges import u8_to_01, u8_to_pm1
from repro.imaging.resize_torch import lr_from_windows, margin


def windows_u8(images: PackedDataset, plan: Plan, data: DataSettings) -> NDArray[np.uint8]:
    """(B, crop + 2 margin, crop + 2 margin, 3) uint8: the planned crops, mirrored, with their margins."""
    around = margin(data.scale)
    size = data.crop_hr + 2 * around
    out = np.empty((len(plan.images), size, size, 3), np.uint8)
    rows = torch.from_numpy(out)
    for row, number, top, left, transform in zip(rows, *plan, strict=True):
        # numpy copies whole lines at memory speed, mirrored top-bottom or not; what changes the order within
        # a line is done by torch, several times as fast as numpy's strided copy
        window = images.window_u8(number, top - around, left - around, size)
        row.numpy()[:] = window[::-1] if transform & 2 else window
        if transform & 5:
            turned = row.flip(1) if transform & 1 else row.clone()
            row.copy_(turned.transpose(0, 1) if transform & 4 else turned)
    return out


class Sample(NamedTuple):
    """What networks take and losses compare with.

    Attributes:
        lr_01: (N, 3, h, w) in [0, 1].
        hr_pm1: (N, 3, H, W) in [-1, 1].
        scale: H / h.
        reference_pm1: (N, 3, H', W') in [-1, 1], where the method asks for a reference image.
        regions: (N, H, W) uint8 labels, where the method asks for them.
    """

    lr_01: Tensor
    hr_pm1: Tensor
    scale: float = 4
    reference_pm1: Tensor | None = None
    regions: Tensor | None = None


def sample_from_windows(windows: Tensor, scale: int = 4) -> Sample:
    """The sample of (B, 3, crop + 2 margin, ...) uint8 windows, made on the device that they are on."""
    around = margin(scale)
    lr = lr_from_windows(windows, scale)
    hr = windows[:, :, around:-around, around:-around]
    return Sample(
        u8_to_01(lr).contiguous(memory_format=torch.channels_last),
        u8_to_pm1(hr).contiguous(memory_format=torch.channels_last),
        scale,
    )


class References(Protocol):
    """Where the reference images of batch k come from (:mod:`repro.data.pairs`)."""

    def cut(self, k: int, plan: Plan) -> NDArray[np.uint8]:
        """(B, H, W, 3) uint8, one for each crop of the whole plan."""
        ...


def _aligned(regions: PackedDataset | None, images: PackedDataset) -> PackedDataset | None:
    """The maps of regions, one for each image and of its size.

    Raises:
        ValueError: they are not.
    """
    if regions is not None and not (
        np.array_equal(regions.heights, images.heights) and np.array_equal(regions.widths, images.widths)
    ):
        raise ValueError("maps of regions that are not those of the images")
    return regions


def _on_device(dataset: PackedDataset, device: torch.device) -> Tensor:
    """All pixels of a packed dataset, flat, in the device's memory."""
    pixels = torch.empty(dataset.nbytes, dtype=torch.uint8, device=device)
    start = 0
    for chunk in dataset.chunks():  # one after another: never twice the dataset in the device's memory
        pixels[start : start + len(chunk)] = torch.from_numpy(np.array(chunk))
        start += len(chunk)
    return pixels


class Planned(NamedTuple):
    """A batch that is not gathered yet, so that a CUDA graph can hold the gathering too.

    Attributes:
        plan: (6, B) int64 on the device (:meth:`DeviceBatches.plan_tensor`).
        gather: makes the sample of it, without asking the host anything.
    """

    plan: Tensor
    gather: Callable[[Tensor], Sample]


class Batches(Protocol):
    """Where a loop gets batch k from: by ``get`` in order, by ``make`` any; ``whole``: of all processes."""

    def get(self, k: int) -> Sample | Planned: ...

    def make(self, k: int, *, whole: bool = False) -> Sample: ...

    def close(self) -> None: ...


class HostBatches:
    """Batches cut on the host from the memory-mapped dataset, a few ahead of the loop in one thread.

    Args:
        images: the training images.
        data: batch size, crop size, augmentation, scale.
        seed: of the run.
        updates: how many batches there will be.
        device: where the batches are wanted.
        share: (first, last) row of the global batch that this process trains on.
        references: where reference images come from, for a method that needs them.
        ahead: how many batches wait at most.
        regions: the maps of regions of the same images, in their order, where the method asks for them.
        threads: of torch's operations in the batches' thread; 0 for as many as the loop itself has, whose
            second OpenMP team then costs the loop a tenth of its time (`bench train`).
    """

    def __init__(
        self,
        images: PackedDataset,
        data: DataSettings,
        seed: int,
        updates: int,
        device: torch.device,
        share: tuple[int, int] | None = None,
        references: References | None = None,
        ahead: int = 4,
        regions: PackedDataset | None = None,
        threads: int = 1,
    ) -> None:
        self.images = images
        self.regions = _aligned(regions, images)
        self.data = data
        self.seed = seed
        self.updates = updates
        self.threads = threads
        self.device = device
        self.share = slice(*(share or (0, data.batch_size)))
        self.references = references
        self._queue: queue.Queue[tuple[int, Sample | BaseException]] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def make(self, k: int, *, whole: bool = False) -> Sample:
        """Batch ``k``, made now: this process's rows, or all."""
        plan = plan_batch(self.data, self.seed, k, self.images.heights, self.images.widths)
        rows = slice(None) if whole else self.share
        mine = Plan(*(values[rows] for values in plan))
        windows = self._placed(windows_u8(self.images, mine, self.data))
        sample = sample_from_windows(windows, self.data.scale)
        if self.regions is not None:
            around = margin(self.data.scale)
            labels = windows_u8(self.regions, mine, self.data)[:, around:-around, around:-around, :1]
            sample = sample._replace(regions=self._placed(labels)[:, 0])
        if self.references is None:
            return sample
        cut = self._placed(self.references.cut(k, plan)[rows])
        return sample._replace(reference_pm1=u8_to_pm1(cut).contiguous(memory_format=torch.channels_last))

    def _placed(self, images_u8: NDArray[np.uint8]) -> Tensor:
        """(B, 3, H, W) on the device, from (B, H, W, 3)."""
        placed = torch.from_numpy(images_u8)
        if self.device.type == "cuda":
            placed = placed.pin_memory().to(self.device, non_blocking=True)
        return placed.permute(0, 3, 1, 2)

    def _fill(self, first: int) -> None:
        if self.threads:
            torch.set_num_threads(self.threads)  # of this thread: OpenMP's setting is one's own
        for k in range(first, self.updates):
            try:
                item: tuple[int, Sample | BaseException] = (k, self.make(k))
            except BaseException as error:  # noqa: BLE001 the loop raises it
                item = (k, error)
            while not self._stop.is_set():
                try:
                    self._queue.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
            if self._stop.is_set() or isinstance(item[1], BaseException):
                return

    def get(self, k: int) -> Sample:
        """Batch ``k``; asked for in order, it is ready."""
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
    """Batches gathered on the device from a copy of the whole dataset in its memory.

    The host only sends where the crops lie (a few hundred numbers a batch). Pixels come out the same as
    from :class:`HostBatches`, whose arguments these are.

    Args:
        planned: give batches that the step gathers itself.
    """

    def __init__(
        self,
        images: PackedDataset,
        data: DataSettings,
        seed: int,
        device: torch.device,
        share: tuple[int, int] | None = None,
        regions: PackedDataset | None = None,
        planned: bool = False,
    ) -> None:
        self.data = data
        self.seed = seed
        self.device = device
        self.planned = planned
        self.share = slice(*(share or (0, data.batch_size)))
        self._heights, self._widths = images.heights, images.widths
        self._pixels = _on_device(images, device)
        aligned = _aligned(regions, images)
        self._regions = None if aligned is None else _on_device(aligned, device)
        self._geometry = torch.from_numpy(np.stack([images.flat_offsets(), images.heights, images.widths]))

    def plan_tensor(self, k: int, *, whole: bool = False) -> Tensor:
        """(6, B) int64 on the host: offset, height, width, top, left, transform of each crop."""
        plan = plan_batch(self.data, self.seed, k, self._heights, self._widths)
        rows = slice(None) if whole else self.share
        images, tops, lefts, transforms = (torch.from_numpy(values[rows]) for values in plan)
        return torch.cat([self._geometry[:, images], torch.stack([tops, lefts, transforms])])

    def gather(self, plan: Tensor) -> Sample:
        """The batch of a :meth:`plan_tensor` on the device; no synchronisation, shapes are fixed."""
        around = margin(self.data.scale)
        size = self.data.crop_hr + 2 * around
        offset, height, width, top, left, transform = (row.view(-1, 1, 1) for row in plan)
        i = torch.arange(size, device=self.device).view(1, -1, 1)
        j = torch.arange(size, device=self.device).view(1, 1, -1)
        transposed = (transform & 4) != 0
        row, column = torch.where(transposed, j, i), torch.where(transposed, i, j)
        row = torch.where((transform & 2) != 0, size - 1 - row, row)
        column = torch.where((transform & 1) != 0, size - 1 - column, column)
        y = torch.minimum((top - around + row).clamp_min(0), height - 1)
        x = torch.minimum((left - around + column).clamp_min(0), width - 1)
        first = offset + 3 * (y * width + x)
        windows = self._pixels[first[:, None] + torch.arange(3, device=self.device).view(1, 3, 1, 1)]
        sample = sample_from_windows(windows, self.data.scale)
        if self._regions is None:
            return sample
        # maps of the images' sizes in their order: the same positions
        return sample._replace(regions=self._regions[first[:, around:-around, around:-around]])

    def make(self, k: int, *, whole: bool = False) -> Sample:
        """Batch ``k``: this process's rows, or all."""
        return self.gather(self._sent(k, whole=whole))

    def get(self, k: int) -> Sample | Planned:
        """Batch ``k``, or its plan."""
        return Planned(self._sent(k), self.gather) if self.planned else self.make(k)

    def _sent(self, k: int, *, whole: bool = False) -> Tensor:
        plan = self.plan_tensor(k, whole=whole)
        return plan.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else plan

    def close(self) -> None:
        """Nothing to end."""
