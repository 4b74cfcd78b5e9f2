"""How fast an update is: the plain eager float32 loop and what the engine makes of it, side by side."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from repro.core.device import device_name, resolve_device, use_bfloat16
from repro.data.packed import pack
from repro.data.samples import DeviceBatches, HostBatches, Planned, Sample
from repro.experiments.bench.data import Noise
from repro.experiments.harness import record, recorded
from repro.methods import method
from repro.methods.config import RunConfig
from repro.methods.variants import configure
from repro.nn import vgg
from repro.train.execution import make_step, plans
from repro.train.memory import keep_freed_memory, peak_resident_mib

VARIANTS = ("SRResNet-MSE", "SRGAN-VGG22", "SRGAN-VGG54", "SRFBN-S", "SAN", "Meta-SR")
ENGINE = "the engine on a CPU: bfloat16, channels last, its layers, memory kept"
ENGINE_FLOAT32 = "the engine on a CPU: float32, channels last, its layers, memory kept"

ENGINE_GPU = "the engine on a GPU: graph of compiled bfloat16, batch gathered in it"

CEILING_LAYERS = ((64, 24), (256, 48))
"""Output channels and side of the generator's two commonest layers, whose rate is the machine's own."""

GOALS = {"SRResNet-MSE": 3.5, "SRGAN-VGG22": 2.2}
"""Times faster than the eager float32 loop in the same run, on a CPU with bfloat16."""
GPU_GOALS_MS = {"SRResNet-MSE": 2.0, "SRGAN-VGG54": 6.0}

TURNS = {"cpu": 3, "cuda": 1, "mps": 1}
"""How often modes take turns: a shared machine's slow half minutes must not be those of one mode."""


def _modes(device: torch.device) -> dict[str, dict[str, Any]]:
    """Name -> how the update is executed; the first is the plain baseline."""
    plain = {"bfloat16": False, "channels_last": False, "compile": "off", "graphs": False, "layers": "plain"}
    modes: dict[str, dict[str, Any]] = {
        "eager float32, NCHW": plain,
        "eager float32, channels last": plain | {"channels_last": True},
        "eager bfloat16, channels last": plain | {"channels_last": True, "bfloat16": True},
        ENGINE: plain | {"channels_last": True, "bfloat16": True, "layers": "engine"},
        "compiled bfloat16, channels last": plain
        | {"channels_last": True, "bfloat16": True, "compile": "on"},
    }
    if not use_bfloat16("auto", device):
        # emulated bfloat16 takes minutes an update and is no way to train: such modes are left out
        modes = {label: mode for label, mode in modes.items() if not mode["bfloat16"]}
        modes[ENGINE_FLOAT32] = plain | {"channels_last": True, "layers": "engine"}
    if device.type == "cuda":
        modes = {label: mode for label, mode in modes.items() if mode["layers"] == "plain"}
        eager = modes["eager bfloat16, channels last"]
        modes["graph of eager bfloat16"] = eager | {"graphs": True}
        modes["graph of eager bfloat16, its layers"] = eager | {"graphs": True, "layers": "engine"}
        modes["graph of compiled bfloat16"] = eager | {"graphs": True, "compile": "on"}
        modes[ENGINE_GPU] = eager | {"graphs": True, "compile": "on", "gather": True}
    return modes


def _answers(device: torch.device) -> dict[str, dict[str, Any]]:
    """What else a CPU's update costs: Muon, and the thread that makes the batches, on one core or on all."""
    if device.type != "cpu":
        return {}
    engine = engine_mode(device)
    return {
        "the engine with Muon": engine | {"optimiser": "muon"},
        "the engine, batches made beside it": engine | {"batches": 0},
        "the engine, batches made beside it on one thread": engine | {"batches": 1},
    }


def engine_mode(device: torch.device) -> dict[str, Any]:
    """How `train` executes an update on a device."""
    modes = _modes(device)
    if device.type == "cuda":
        return modes[ENGINE_GPU]
    return modes[ENGINE if ENGINE in modes else ENGINE_FLOAT32]


def timed(variant: str) -> RunConfig:
    """What is timed of a variant: the paper's update of SRGAN's; of others profile ``cpu``'s, of its size."""
    config = configure(variant, "paper")
    return config if config.method == "srgan" else configure(variant, "cpu")


def make_update(config: RunConfig, device: torch.device, mode: dict[str, Any]) -> Callable[[], object]:
    """One update of ``config`` on a fixed made-up batch, executed as ``mode`` says.

    VGG-19 has random weights: it is as fast as the trained one. On a GPU the batch is gathered in each
    update, as in training, and prepared where the method does so.
    """
    layout = {"channels_last": mode["channels_last"], "compile": mode["compile"]}
    config = config.but(
        arithmetic=layout, optimiser={"optimiser": mode.get("optimiser", config.optimiser.optimiser)}
    )
    how = method(config.method)
    modules = how.build(config)
    need = how.vgg(config)
    if need is not None:
        weights = vgg.with_random_layers(None, need.taps, 0)
        modules["vgg"] = vgg.VGGFeatures(weights, need.taps, need.before_relu)
    plain = mode["layers"] == "plain"
    step = make_step(config, how, modules, device, mode["bfloat16"], graphs=mode["graphs"], plain=plain)
    generator = torch.Generator().manual_seed(0)
    memory = torch.channels_last if mode["channels_last"] else torch.contiguous_format
    data = config.data
    lr = torch.rand(data.batch_size, 3, data.crop_lr, data.crop_lr, generator=generator)
    hr = torch.rand(data.batch_size, 3, data.crop_hr, data.crop_hr, generator=generator) * 2 - 1
    lr, hr = (images.to(device).to(memory_format=memory) for images in (lr, hr))
    if mode.get("gather") or "batches" in mode:
        with tempfile.TemporaryDirectory() as folder:  # may go: the pixels are mapped, or on the device
            images = pack([Noise(n) for n in range(4)], Path(folder), data.crop_hr, workers=1)
            if "batches" in mode:
                numbers = itertools.count()
                beside = HostBatches(images, data, 0, 10**6, device, threads=mode["batches"])
                return lambda: step(0, beside.get(next(numbers)))
            batches = DeviceBatches(images, data, 0, device, planned=plans(step, how))

        def update() -> object:
            batch = batches.get(0)
            return step(0, batch if isinstance(batch, Planned) else how.prepare(config, batch, 0))

        return update
    sample = how.prepare(config, Sample(lr, hr, data.scale), 0)
    return lambda: step(0, sample)


def update_flops(config: RunConfig) -> int:
    """Floating-point operations of one update, counted by torch (a multiply-add is two)."""
    update = make_update(
        config, torch.device("cpu"), _modes(torch.device("cpu"))["eager float32, channels last"]
    )
    update()
    with FlopCounterMode(display=False) as counter:
        update()
    return int(counter.get_total_flops())


def convolution_flops_per_second(device: torch.device, dtype: torch.dtype, repeats: int = 7) -> float:
    """The machine's own rate: forward and backward of the generator's two commonest layers in ``dtype``."""
    best = 0.0
    for outputs, side in CEILING_LAYERS:
        conv = torch.nn.Conv2d(64, outputs, 3, padding=1).to(device, dtype)
        conv = conv.to(memory_format=torch.channels_last)
        x = torch.zeros(16, 64, side, side, device=device, dtype=dtype, requires_grad=True)
        x_last = x.detach().to(memory_format=torch.channels_last).requires_grad_(True)
        gradient = torch.ones_like(conv(x_last))
        times = []
        for _ in range(repeats + 3):
            began = time.perf_counter()
            for _ in range(8):
                conv(x_last).backward(gradient)
            _synchronise(device)
            times.append((time.perf_counter() - began) / 8)
        flops = 3 * 2 * 16 * side * side * 64 * outputs * 9
        best = max(best, flops / statistics.median(times[3:]))
    return best


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _time_mode(
    config: RunConfig, device: torch.device, mode: dict[str, Any], updates: int
) -> tuple[list[float], float]:
    """Seconds of each timed update, and the peak memory in MiB: the device's, or this process's on a CPU."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    elif mode["layers"] == "engine":
        keep_freed_memory()
    update = make_update(config, device, mode)
    for _ in range(3 if device.type == "cuda" else 2):
        update()
    _synchronise(device)
    times = []
    group = 20 if device.type == "cuda" else 1  # without a stop in between, as the loop runs them
    for _ in range(updates):
        began = time.perf_counter()
        for _ in range(group):
            update()
        _synchronise(device)
        times.append((time.perf_counter() - began) / group)
    if device.type == "cuda":
        return times, torch.cuda.max_memory_allocated(device) / 2**20
    return times, peak_resident_mib()


def _time_alone(
    config: RunConfig, device: torch.device, mode: dict[str, Any], updates: int
) -> tuple[list[float], float]:
    """Like :func:`_time_mode` in a process of its own: no mode profits, or fails, by another's."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_time_mode, config, device, mode, updates).result()


def run(
    results_folder: Path,
    device_option: str = "auto",
    updates: int = 7,
    configs: Sequence[RunConfig] | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """The measurements, also written to ``bench/train_<cpu|cuda>.json``, which keeps those of other variants.

    Args:
        results_folder: where results lie.
        device_option: auto, cpu or cuda.
        updates: timed updates (on a GPU: groups of 20) a mode, or some more for whole turns.
        configs: what to time; default: :func:`timed` of :data:`VARIANTS`.
        report: called with a line after each mode.
    """
    device = resolve_device(device_option)
    dtype = torch.bfloat16 if use_bfloat16("auto", device) else torch.float32
    arithmetic = str(dtype).removeprefix("torch.")
    if dtype == torch.float32:
        report("this processor has no bfloat16 instructions: its modes are left out")
    ceiling = convolution_flops_per_second(device, dtype)
    report(f"{arithmetic} convolution rate: {ceiling / 1e12:.3g} TFLOP/s")
    variants_measured: dict[str, Any] = {}
    for config in configs or [timed(name) for name in VARIANTS]:
        name = config.variant
        flops = update_flops(config)
        asked = _modes(device) | (_answers(device) if name == VARIANTS[0] else {})
        times: dict[str, list[float]] = {label: [] for label in asked}
        peaks = dict.fromkeys(asked, 0.0)
        rows: dict[str, Any] = {}
        turns = min(TURNS[device.type], updates)
        for turn, (label, mode) in itertools.product(range(turns), asked.items()):
            if label in rows:  # failed
                continue
            report(f"{name}: {label}, turn {turn + 1} of {turns}")
            try:
                more, peak = _time_alone(config, device, mode, -(-updates // turns))
            except (RuntimeError, BrokenExecutor) as error:
                rows[label] = {"failed": str(error).splitlines()[0][:200]}
                report(f"{name}: {label}: failed ({rows[label]['failed']})")
                continue
            times[label] += more
            peaks[label] = max(peaks[label], peak)
        medians = {label: statistics.median(of_mode) for label, of_mode in times.items() if label not in rows}
        for label, median in medians.items():
            faster = next(iter(medians.values())) / median
            rows[label] = {
                "seconds": median,
                "times_faster": round(faster, 2),
                "fraction_of_convolution_rate": round(flops / median / ceiling, 3),
                f"peak_{'device' if device.type == 'cuda' else 'resident'}_mib": round(peaks[label]),
            }
            report(f"{name}: {label}: {1000 * median:.4g} ms, {faster:.2f} times the baseline")
        crops = f"{config.data.batch_size} x {config.data.crop_hr} x {config.data.crop_hr}"
        variants_measured[name] = {
            "batch": crops,
            "convolution_tflops": round(ceiling / 1e12, 3),
            "gigaflop_an_update": round(flops / 1e9, 1),
            "modes": rows,
        }
    measured = {
        "device": device_name(device),
        "arithmetic": arithmetic,
        "goals_times_faster": GOALS if device.type == "cpu" else None,
        "goals_ms": GPU_GOALS_MS if device.type == "cuda" else None,
        "variants": variants_measured,
    }
    name = f"train_{device.type}"
    kept = recorded(results_folder, name, "variants")
    measured["variants"] = dict(sorted((kept | variants_measured).items()))
    return record(results_folder, name, json.loads(json.dumps(measured)))
