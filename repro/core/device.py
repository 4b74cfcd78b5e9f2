"""Which device, and which arithmetic pays on it."""

from __future__ import annotations

import platform
import time
from pathlib import Path

import torch

from repro.core.errors import UserError
from repro.core.settings import Precision


def resolve_device(name: str, mps: bool = False) -> torch.device:
    """The device called ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``mps`` (Apple's).

    Args:
        name: as above.
        mps: whether the work can be done on that one too; never chosen by ``auto``.

    Raises:
        UserError: unknown, or no such device.
    """
    if name == "mps" and mps:
        if not torch.backends.mps.is_available():
            raise UserError("no MPS device that torch can use", "a Mac with Apple's GPU", "--device cpu")
        return torch.device("mps")
    if name not in {"auto", "cpu", "cuda"}:
        expected = "auto, cpu, cuda or mps" if mps else "auto, cpu or cuda"
        raise UserError(f"device {name!r}", expected, "DEVICE=auto")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("no CUDA device that torch can use", "a GPU with its driver", "DEVICE=cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had, of the GPU or of the machine; 0 where that is not known."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return 0


def device_name(device: torch.device) -> str:
    """The device as manifests tell it: ``cpu``, or the GPU's product name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def processor_name() -> str:
    """The processor's model, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def hardware(device: torch.device) -> str:
    """What a run was computed on, in words: the GPU, or the processor and how many cores it could use."""
    if device.type == "cuda":
        return device_name(device)
    threads = torch.get_num_threads()
    return f"{processor_name()}, {threads} thread{'s' * (threads != 1)}"


def _convolution_seconds(device: torch.device, dtype: torch.dtype, runs: int = 9) -> float:
    """Shortest time of the network's commonest convolution, forwards, at a quarter of the paper's batch.

    The shortest, not the median: it decides which arithmetic a run computes in, and must not depend on what
    else the machine is doing.
    """
    conv = torch.nn.Conv2d(64, 64, 3, padding=1).to(device, dtype).to(memory_format=torch.channels_last)
    x = torch.zeros(4, 64, 96, 96, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    times = []
    with torch.no_grad():
        for _ in range(runs + 2):
            began = time.perf_counter()
            conv(x)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(time.perf_counter() - began)
    return min(times[2:])


def _has_instructions() -> bool | None:
    """Whether the processor multiplies bfloat16 in hardware; None where torch does not know."""
    tell = getattr(torch.cpu, "get_capabilities", None)  # torch 2.11 has no such function
    if tell is None:
        return None
    found = tell()
    if found.get("architecture") != "x86_64":
        return None
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16", "avx10_2"))


def use_bfloat16(precision: Precision, device: torch.device) -> bool:
    """Whether to run the networks in bfloat16.

    ``auto`` says yes where the processor has instructions for it. Where torch cannot tell, it decides by
    measurement: a convolution must be at least 1.3 times as fast as in float32.
    """
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = _has_instructions()
    if known is not None:
        return known
    return _convolution_seconds(device, torch.float32) > 1.3 * _convolution_seconds(device, torch.bfloat16)
