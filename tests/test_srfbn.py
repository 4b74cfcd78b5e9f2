"""SRFBN against the authors' own code, the degradations of its curriculum, and what chop and ensemble do."""

from __future__ import annotations

import pytest
import torch
from systems_golden import Case, case, fill, relative_error
from torch import Tensor

from repro.core.errors import UserError
from repro.data.samples import Sample
from repro.inference.ensemble import chopped, self_ensembled
from repro.methods.context import Context
from repro.methods.srfbn import SRFBN, SRFBNLosses, SRFBNNetwork, blurred
from repro.nn.levels import HALF, LEVELS, mean_levels

SMALL = ("small_x2", "small_x3", "small_x4_0", "small_x4_1", "small_x8")


def _authors_tensors(found: Case) -> dict[str, Tensor]:
    """A state dict in the authors' layout, filled by the goldens' rule."""
    settings = found.settings
    with torch.device("meta"):
        ours = SRFBNNetwork(
            settings["num_features"],
            settings["num_groups"],
            settings["num_steps"],
            settings["upscale_factor"],
        ).state_dict()
    names = {
        "up": "upBlocks",
        "down": "downBlocks",
        "before_up": "uptranBlocks",
        "before_down": "downtranBlocks",
    }
    mean, identity = mean_levels(), torch.eye(3).view(3, 3, 1, 1)
    tensors = {"sub_mean.weight": identity, "sub_mean.bias": -mean}
    for name, shape in ((name, tensor.shape) for name, tensor in ours.items()):
        key = name.replace("conv_out.", "conv_out.0.")
        if name.startswith("block.") and name.split(".")[1] in names:
            key = name.replace(name.split(".")[1], names[name.split(".")[1]], 1)
        slope = key.endswith(".1.weight")
        kind = "prelu" if slope else "bias" if key.endswith("bias") else "weight"
        transposed = key.startswith(("out.0", "block.upBlocks")) and kind == "weight"
        gain = 1.25 * (settings["upscale_factor"] if transposed else 1)
        tensors[key] = torch.from_numpy(fill(key, tuple(shape), kind, gain, 50.0))
    return tensors | {"add_mean.weight": identity, "add_mean.bias": mean}


def _network(found: Case, dtype: torch.dtype = torch.float64) -> SRFBNNetwork:
    """The network as a file of the authors' gives it; only the number of steps is told by nothing."""
    tensors = _authors_tensors(found)
    found.check_weights(tensors)
    recognised = SRFBN().recognise(tensors)
    assert recognised is not None
    metadata, ours = recognised
    metadata["network"]["steps"] = found.settings["num_steps"]
    network, scale = SRFBN().from_description(metadata)
    assert isinstance(network, SRFBNNetwork)
    assert scale == found.settings["upscale_factor"]
    network.load_state_dict(ours)
    return network.to(dtype)


@pytest.mark.parametrize("name", ["srfbn/full_x4", "srfbn_s/full_x4", *(f"srfbn/{name}" for name in SMALL)])
def test_every_step_is_the_authors(name: str) -> None:
    found = case(*name.split("/"))
    for dtype, tolerance in ((torch.float64, 1e-6), (torch.float32, 1e-5)):
        network = _network(found, dtype)
        with torch.no_grad():
            steps = network(found.given().to(dtype) / LEVELS)
            last = network(found.given().to(dtype) / LEVELS, every_step=False)
        for number, step in enumerate(steps):
            assert relative_error((step + 1) * HALF, found.expected(f"y{number}")) < tolerance
        assert len(last) == 1
        assert torch.equal(last[0], steps[-1])


def test_parameters_are_counted_as_the_papers() -> None:
    with torch.device("meta"):
        networks = [SRFBNNetwork(), SRFBNNetwork(32, 3)]
    assert [sum(p.numel() for p in n.parameters()) for n in networks] == [3_631_454, 483_122]


def test_a_training_step_descends_as_the_authors() -> None:
    found = case("srfbn", "train_step")
    network = _network(found)
    sample = Sample(found.given() / LEVELS, found.given("hr") / HALF - 1, 4)
    config = SRFBN().variants["SRFBN-S"].but(network={"steps": 3})
    outputs = SRFBN().forward({"generator": network}, sample)
    (update,) = SRFBN().updates(config)
    values = [term.of(_context(sample, outputs)) for term in update.terms]
    assert relative_error(torch.stack(values), found.expected("loss_steps")) < 1e-6
    torch.stack(values).sum().backward()
    checked = 0
    for name, gradient in ((n, p.grad) for n, p in network.named_parameters()):
        theirs = "grad." + name.replace("conv_out.", "conv_out.0.").replace(
            "block.up.", "block.upBlocks."
        ).replace("block.before_down.", "block.downtranBlocks.")
        if theirs in found.facts["outputs"]:
            assert gradient is not None
            assert relative_error(gradient, found.expected(theirs)) < 1e-6
            checked += 1
    assert checked == 7


def _context(sample: Sample, outputs: object, k: int = 0) -> Context:
    return Context(outputs, sample, {}, torch.no_grad, k)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "overlap", "largest"),
    [("chop", 10, 100_000), ("chop_shave2", 2, 100_000), ("chop_recursive", 2, 100)],
)
def test_chop_is_the_authors(name: str, overlap: int, largest: int) -> None:
    found = case("srfbn", name)
    network = _network(found)
    infer = chopped(lambda x: SRFBN().infer(network, x, 4), 4, largest, overlap)
    with torch.no_grad():
        result = (infer(found.given() / LEVELS) + 1) * HALF
    assert relative_error(result[:, :, 40:64, 40:72], found.expected("y_corner")) < 1e-6


def test_the_mean_of_eight_is_the_authors() -> None:
    found = case("srfbn", "x8")
    network = _network(found)
    with torch.no_grad():
        result = (self_ensembled(lambda x: SRFBN().infer(network, x, 4))(found.given() / LEVELS) + 1) * HALF
    assert relative_error(result, found.expected()) < 1e-6


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_nothing_beyond_the_radius_is_looked_at(scale: int) -> None:
    network = SRFBNNetwork(4, 2, 2, scale).double()
    radius = SRFBN().radius(network)
    side = 2 * radius + 9
    x = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    middle = side // 2
    # the corners of one LR pixel's result between them see all that it sees
    result = network(x, every_step=False)[0][0, 0, scale * middle : scale * (middle + 1)].sum(0)
    result[scale * middle : scale * (middle + 1)].sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum((0, 2)).nonzero().flatten()
    reach = max(middle - int(seen.min()), int(seen.max()) - middle)
    assert reach <= radius <= reach + 1


def test_another_mean_colour_is_refused() -> None:
    tensors = _authors_tensors(case("srfbn", "small_x2"))
    tensors["sub_mean.bias"] = torch.zeros(3)
    with pytest.raises(UserError, match="sub_mean"):
        SRFBN().recognise(tensors)
    assert SRFBN().recognise({"head.weight": torch.zeros(3)}) is None


def _textured(scale: int = 4) -> Sample:
    generator = torch.Generator().manual_seed(1)
    hr = (torch.rand((2, 3, 24 * scale, 24 * scale), generator=generator) * 255).floor() / HALF - 1
    return Sample(torch.zeros(2, 3, 24, 24), hr, scale)


def test_curriculum_compares_the_first_steps_with_degraded_images() -> None:
    config = SRFBN().variants["SRFBN-S"].but(losses={"degradation": "BD", "curriculum_steps": 2})
    sample = _textured()
    outputs = SRFBN().forward({"generator": lambda lr: (sample.hr_pm1,) * 4}, sample)
    (update,) = SRFBN().updates(config)
    values = [float(term.of(_context(sample, outputs))) for term in update.terms]
    expected = float((blurred(sample.hr_pm1) - sample.hr_pm1).abs().mean() * HALF)
    assert values == pytest.approx([expected, expected, 0, 0])
    noisy = SRFBN().updates(config.but(losses={"degradation": "DN"}))[0].terms
    values = [float(term.of(_context(sample, outputs, k=3))) for term in noisy]
    assert values[0] == values[1]  # the same noise at both steps
    assert 15 < values[0] < 30  # the mean of |N(0, 30)| is 24, less what is clipped
    assert values[0] != float(noisy[0].of(_context(sample, outputs, k=4)))
    assert values[2:] == [0, 0]


def test_degraded_low_resolution_images() -> None:
    sample = _textured()
    blur = SRFBN().variants["SRFBN"].but(losses={"degradation": "BD"})
    prepared = SRFBN().prepare(blur, sample, 0)
    assert prepared.lr_01.shape == (2, 3, 16, 16)
    assert prepared.hr_pm1.shape == (2, 3, 64, 64)
    assert prepared.lr_01.std() < 0.3 * (sample.hr_pm1 / 2).std()
    noisy = SRFBN().prepare(
        blur.but(losses={"degradation": "DN"}), sample._replace(lr_01=torch.full((2, 3, 64, 64), 0.5)), 5
    )
    assert float(noisy.lr_01.std()) * LEVELS == pytest.approx(30, abs=1)
    assert SRFBN().prepare(SRFBN().variants["SRFBN"], sample, 0) is sample


def test_a_curriculum_without_degradation_is_refused() -> None:
    with pytest.raises(UserError, match="curriculum_steps"):
        SRFBNLosses(curriculum_steps=2)
    config = SRFBN().variants["SRFBN"].but(losses={"degradation": "BD", "curriculum_steps": 4})
    with pytest.raises(UserError, match="fewer than the steps"):
        SRFBN().check(config)
