"""RankSRGAN's networks and losses against the authors' own code, and its three stages."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from systems_golden import case, facts, fill, fill_module, relative_error
from torch import Tensor
from typer.testing import CliRunner

from repro.cli.main import app
from repro.core import tensorfile
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data.packed import pack
from repro.data.rank_pairs import LABELS, SPLITS, RankBatches, pairs, read_labels
from repro.data.samples import Sample
from repro.data.training import TrainingImage, training_images
from repro.imaging.io import write_png
from repro.inference.rank_data import Selection, activity, make_rank_data
from repro.inference.upscaler import direct_upscaler
from repro.methods import method
from repro.methods.config import RunConfig
from repro.methods.layouts import recognise
from repro.methods.ranksrgan import RANKER, RANKER_CONFIG, RankerTraining
from repro.methods.variants import configure
from repro.metrics.niqe import niqe
from repro.nn.discriminators import Ranker, VGGStyleDiscriminator
from repro.nn.losses import adversarial, discriminator
from repro.nn.losses_relative import (
    l1,
    margin_ranking,
    rank_content,
    relativistic_discriminator,
    relativistic_generator,
)
from repro.nn.plain_residual import RankSRGANGenerator
from repro.train.execution import make_step
from repro.train.finished import the_run
from repro.train.ranker import train_ranker
from repro.train.step import Step

pytestmark = pytest.mark.xdist_group("ranksrgan")  # its fixtures are made once


def official(key: str) -> str:
    """mmsr's key for a key of ours."""
    for ours, theirs in (("body.", "recon_trunk."), ("conv_body.", "LRconv."), ("conv_hr.", "HRconv.")):
        if key.startswith(ours):
            return theirs + key[len(ours) :]
    return key


@pytest.mark.parametrize("name", ["full_x4", "small_x4_0", "small_x4_1", "small_x3", "small_x2"])
def test_the_generator_is_the_authors(name: str) -> None:
    golden = case("ranksrgan_generator", name)
    network = RankSRGANGenerator(golden.settings["nb"], golden.settings["nf"], golden.settings["upscale"])
    assert sum(p.numel() for p in network.parameters()) == golden.facts["parameters"]
    for dtype, tolerance in ((torch.float64, 1e-6), (torch.float32, 1e-5)):
        golden.check_weights(fill_module(network.eval().to(dtype), official))
        with torch.no_grad():
            y = network(golden.given().to(dtype))
        assert relative_error(y, golden.expected()) < tolerance, dtype


@pytest.mark.parametrize("name", ["s64", "s296", "s128x160", "s64_train"])
def test_the_ranker_is_the_authors(name: str) -> None:
    golden = case("ranksrgan_ranker", name)
    network = Ranker().double().train(name == "s64_train")
    assert sum(p.numel() for p in network.parameters()) == facts("ranksrgan_ranker")["full_size_parameters"]
    golden.check_weights(fill_module(network, gain=1.5))
    x = golden.given().requires_grad_(network.training)
    y = network(2 * x - 1)
    assert relative_error(y, golden.expected()) < 1e-6
    if network.training:
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert relative_error(gradient[..., :9, :9], golden.expected("dsumy_dx_corner")) < 1e-6
    elif name == "s64":
        with torch.no_grad():
            y = network.float()(2 * x.float() - 1)
        assert relative_error(y, golden.expected()) < 2e-4


def test_the_discriminator_for_296_is_the_authors() -> None:
    golden = case("ranksrgan_disc296", "s296")
    network = VGGStyleDiscriminator(296).eval()
    assert sum(p.numel() for p in network.parameters()) == golden.facts["parameters"]
    for dtype, tolerance in ((torch.float64, 1e-6), (torch.float32, 2e-4)):
        golden.check_weights(fill_module(network.to(dtype), gain=1.5))
        with torch.no_grad():
            y = network(2 * golden.given().to(dtype) - 1)
        assert relative_error(y, golden.expected()) < tolerance, dtype


def test_the_rankers_loss_and_gradient_are_the_authors() -> None:
    golden = case("ranksrgan_losses", "margin_rank")
    s1, s2 = golden.given("s1").requires_grad_(), golden.given("s2").requires_grad_()
    worse = torch.where(golden.given("q1") >= golden.given("q2"), 1.0, -1.0).double()
    assert torch.equal(worse.float(), golden.expected("label"))
    loss = margin_ranking(s1, s2, worse, golden.facts["margin"], golden.facts["clamp"])
    assert relative_error(loss, golden.expected("l_rank")) < 1e-6
    of_1, of_2 = torch.autograd.grad(loss, (s1, s2))
    assert relative_error(of_1, golden.expected("g_s1")) < 1e-6
    assert relative_error(of_2, golden.expected("g_s2")) < 1e-6


LOSSES = ("gan", "ragan", "rank_only", "rank_bias", "ranksrgan_total")


@pytest.mark.parametrize("name", LOSSES)
def test_the_generators_losses_and_gradients_are_the_authors(name: str) -> None:
    golden = case("ranksrgan_losses", name)
    told = golden.facts
    r, f = golden.given("r").requires_grad_(), golden.given("f").requires_grad_()
    relative = told["gan_type"] == "ragan"
    gan = told["gan_weight"] * (relativistic_generator(r, f, "mmsr") if relative else adversarial(f))
    of_g = gan
    if told["gan_weight"]:
        assert relative_error(gan, golden.expected("l_g_gan")) < 1e-6
    if told["rank_weight"]:
        rank = told["rank_weight"] * rank_content(f, told["rank_bias"])
        assert relative_error(rank, golden.expected("l_g_rank")) < 1e-6
        of_g = of_g + rank
    if told["feature_l1_weight"]:
        content = told["feature_l1_weight"] * l1(f, r.detach())
        assert relative_error(content, golden.expected("l_g_fea")) < 1e-6
        of_g = of_g + content
    (gradient,) = torch.autograd.grad(of_g, f)
    assert relative_error(gradient, golden.expected("g_of_G_wrt_f")) < 1e-6
    of_d = relativistic_discriminator(r, f, "mmsr") if relative else discriminator(r, f)
    share = 0.5 if relative else 1.0  # their log has the terms before the factor
    expected = share * (golden.expected("l_d_real") + golden.expected("l_d_fake"))
    assert relative_error(of_d, expected) < 1e-6
    of_r, of_f = torch.autograd.grad(of_d, (r, f))
    assert relative_error(of_r, golden.expected("g_of_D_wrt_r")) < 1e-6
    assert relative_error(of_f, golden.expected("g_of_D_wrt_f")) < 1e-6


def test_every_golden_loss_is_compared() -> None:
    names = {item["case"] for item in facts("ranksrgan_losses")["cases"]}
    assert names == {"margin_rank", *LOSSES}


def test_the_older_layout_gives_the_authors_picture() -> None:
    golden = case("ranksrgan_generator", "old_layout")
    shapes = {key: shape for key, shape, _ in facts("ranksrgan_generator")["state_dict"]}
    state = {
        old: torch.from_numpy(fill(old, tuple(shapes[new]), "bias" if old.endswith("bias") else "weight"))
        for old, new in facts("ranksrgan_generator")["old_layout_keys"]
    }
    found = recognise(state)
    assert found is not None
    assert (found.network, found.blocks, found.channels, found.scale) == ("ranksrgan", 16, 64, 4)
    network = RankSRGANGenerator().eval()
    network.load_state_dict(found.tensors)
    with torch.no_grad():
        y = network.double()(golden.given())
    assert relative_error(y, golden.expected()) < 1e-6


@pytest.fixture(scope="module")
def rank_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rank data of four photographs as they are and by nearest neighbour."""
    folder = tmp_path_factory.mktemp("rank")
    images = [image for image in training_images(["sample"], None) if "retina" in image.key]
    versions = {"HR": None, "nearest": direct_upscaler("nearest")}
    count = make_rank_data(folder, images, versions, Selection(200, 100, least_activity=1.0))
    assert count >= 4
    return folder


def test_rank_data_are_patches_labelled_by_niqe(rank_data: Path) -> None:
    patches = read_labels(rank_data)
    assert {patch.split for patch in patches} == set(SPLITS)
    for patch in patches[:4]:
        assert patch.niqe == pytest.approx(niqe(patch.load_u8(), 4), abs=1e-6)
    held_out = {patch.place[0] for patch in patches if patch.split == "held out"}
    assert held_out.isdisjoint(patch.place[0] for patch in patches if patch.split == "training")
    assert all(patches[a].place == patches[b].place for a, b in pairs(patches))
    manifest = json.loads((rank_data / "manifest.json").read_text())
    assert manifest["config"]["versions"] == ["HR", "nearest"]


def test_labelling_that_was_stopped_goes_on(rank_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "rank"
    shutil.copytree(rank_data, folder)
    one, *_ = sorted((folder / "labels").iterdir())
    for gone in (one, folder / "labels.csv", folder / "manifest.json"):
        gone.unlink()
    nearest = direct_upscaler("nearest")
    counted = Mock(side_effect=nearest, inputs=nearest.inputs, notes=nearest.notes)
    images = [image for image in training_images(["sample"], None) if "retina" in image.key]
    selection = Selection(200, 100, least_activity=1.0)
    make_rank_data(folder, images, {"HR": None, "nearest": counted}, selection)
    assert counted.call_count == 1
    for name in ("labels.csv", "manifest.json"):
        assert (folder / name).read_bytes() == (rank_data / name).read_bytes()
    with pytest.raises(UserError, match="another command"):
        make_rank_data(folder, images, {"nearest": nearest, "HR": None}, selection)


def test_activity_is_the_local_deviation_summed_over_blocks() -> None:
    assert activity(np.full((288, 288, 3), 90, np.uint8)) == pytest.approx(0, abs=1e-3)
    noise = np.random.default_rng(0).integers(0, 256, (288, 288, 1), np.uint8).repeat(3, 2)
    assert activity(noise) == pytest.approx(9 * 256 / 12**0.5, rel=0.03)  # nine blocks


def copied(rank_data: Path, folder: Path, change: Callable[[str], str]) -> Path:
    (folder / LABELS).write_text(change((rank_data / LABELS).read_text()))
    (folder / "images").symlink_to(rank_data / "images")
    return folder


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace("niqe", "quality", 1), "no column niqe"),
        (lambda text: text.replace("HR", "nearest"), "in one version"),
        (lambda text: re.sub(r"\d\.\d{6}", "", text, count=1), "line 2"),
        (lambda text: re.sub(r"\d\.\d{6}", "nan", text, count=1), "niqe nan"),
        (lambda text: text.replace("training", "tested"), "split 'tested'"),
        (lambda text: text.replace("images/", "images/../", 1), "line 2: the file images/../"),
        (lambda text: text.replace("images/", "/images/", 1), "line 2: the file /images/"),
        (lambda text: text.splitlines()[0] + "\n", "no patch"),
        (lambda text: text + '"' + "x" * 200_000, "no table"),
    ],
)
def test_labels_of_another_form_are_refused(
    change: Callable[[str], str], told: str, rank_data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=told):
        read_labels(copied(rank_data, tmp_path, change))


def test_rank_data_without_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no labels\.csv[^~]*ranksrgan data"):
        read_labels(tmp_path)


def config(updates: int = 4) -> RunConfig:
    quick = RankerTraining().profile(RANKER_CONFIG.but(profile="quick"), "quick")
    return quick.but(
        schedule={"updates": updates}, data={"batch_size": 2, "crop_hr": 64}, network={"channels": 4}
    )


def test_pairs_are_a_function_of_seed_and_k(rank_data: Path, tmp_path: Path) -> None:
    patches = [patch for patch in read_labels(rank_data) if patch.split == "training"]
    packed = pack(patches, tmp_path, 64)
    batches = RankBatches(packed, patches, config().data, 0, torch.device("cpu"))
    first, again = batches.get(3), batches.get(3)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    signs = torch.cat([batches.get(k).worse_first for k in range(40)])
    assert set(signs.flatten().tolist()) == {-1.0, 1.0}
    by_version = {patch.version: patch for patch in patches if patch.place == patches[0].place}
    worse = by_version["nearest"].niqe > by_version["HR"].niqe
    # nearest repeats pixels: where the first is, the label is that of nearest
    for k in range(10):
        batch = batches.get(k)
        repeats = [(p[:, :, 1:] == p[:, :, :-1]).float().mean((1, 2)) > 0.6 for p in batch.first_pm1[:, :1]]
        for repeat, sign in zip(repeats, batch.worse_first.flatten(), strict=True):
            assert bool(repeat) == bool((sign > 0) == worse)


def test_the_ranker_stops_and_goes_on_and_tells_its_accuracy(rank_data: Path, tmp_path: Path) -> None:
    device = torch.device("cpu")
    run, right = train_ranker(config(), rank_data, Results(tmp_path), device)
    assert set(right) == {"all", "HR and nearest"}
    assert 0 <= right["all"] <= 1
    tensors, about = tensorfile.load(run / "generator.safetensors")
    assert about["variant"] == RANKER
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["accuracy"] == right
    assert manifest["held_out_pairs"] > 0
    assert train_ranker(config(), rank_data, Results(tmp_path), device) == (run, right)  # kept
    found = the_run(Results(tmp_path), RANKER, "quick", 0)
    assert found.generator == run / "generator.safetensors"
    network = Ranker(4)
    tensorfile.restore_module("generator", network, tensors)


class KilledError(Exception):
    pass


def test_a_ranker_that_was_stopped_ends_with_the_same_weights(rank_data: Path, tmp_path: Path) -> None:
    device = torch.device("cpu")
    often = config().but(logging={"checkpoint_every": 1})
    straight, _ = train_ranker(often, rank_data, Results(tmp_path / "a"), device)

    def kill(done: int, values: dict[str, float]) -> None:
        if done == 2:
            raise KilledError

    with pytest.raises(KilledError):
        train_ranker(often, rank_data, Results(tmp_path / "b"), device, kill)
    stopped, _ = train_ranker(often, rank_data, Results(tmp_path / "b"), device)
    one, other = (tensorfile.load(run / "generator.safetensors")[0] for run in (straight, stopped))
    assert all(torch.equal(one[name], other[name]) for name in one)


def rank_term(mode: str) -> tuple[Step, Tensor]:
    how = method("ranksrgan")
    chosen = configure("RankSRGAN-VGG34", "quick").but(
        losses={"ranker_mode": mode, "ranker_channels": 4, "content": "none", "content_weight": 1.0},
        data={"batch_size": 2, "crop_hr": 64},
        network={"channels": 8},
    )
    modules = how.build(chosen)
    modules["ranker"].initialise(0, "ranker")
    step = make_step(chosen, how, modules, torch.device("cpu"), False).eager
    lr = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    kept = copy.deepcopy(modules["generator"])
    values = step(0, Sample(lr, torch.zeros(2, 3, 64, 64), 4))
    with torch.no_grad():
        scores = modules["ranker"](2 * kept(lr) - 1)
    torch.testing.assert_close(values["rank"], rank_content(scores), rtol=1e-4, atol=1e-5)
    return step, values["rank"]


def test_the_rankers_mode_is_a_setting_and_it_never_learns() -> None:
    evaluated, one = rank_term("evaluation")
    trained, other = rank_term("training")
    assert not evaluated.modules["ranker"].training
    assert trained.modules["ranker"].training
    assert float(one) != pytest.approx(float(other), rel=1e-3)
    for step in (evaluated, trained):
        assert all(not p.requires_grad and p.grad is None for p in step.modules["ranker"].parameters())


def test_the_stages_are_the_papers() -> None:
    chosen = configure("RankSRGAN", "paper")
    assert method("ranksrgan").start_modules(chosen) == {"generator": "SRResNet-noBN", "ranker": RANKER}
    assert (chosen.data.crop_hr, chosen.data.batch_size, chosen.schedule.updates) == (296, 8, 500_000)
    assert [update.module for update in method("ranksrgan").updates(chosen)] == ["generator", "discriminator"]
    terms = {term.name: term.weight for term in method("ranksrgan").updates(chosen)[0].terms}
    assert terms == {"content": 1.0, "rank": 0.03, "adversarial": 5e-3}
    assert method("ranksrgan").start_modules(configure("SRResNet-noBN", "paper")) == {}
    with pytest.raises(UserError, match="rank_bias"):
        configure("SRResNet-noBN", "quick").with_settings(["rank_bias=1"])


def test_labels_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / LABELS).write_bytes(b"image,version\n\xff\xfe")
    with pytest.raises(UserError, match="no table"):
        read_labels(tmp_path)


def test_what_errors_advise_is_a_command() -> None:
    with pytest.raises(UserError) as caught:
        read_labels(Path("nowhere"))
    outcome = CliRunner().invoke(app, [*caught.value.next_step.split()[3:], "--help"])
    assert outcome.exit_code == 0, outcome.output


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["crop_hr=16"], "32 or more"),
        (["scale=4"], "scale"),
        (["augmentation=flip"], "no effect on the ranker"),
        (["precision=bfloat16"], "no effect on the ranker"),
        (["statistics_batches=2"], "no effect on the ranker"),
    ],
)
def test_settings_that_the_ranker_has_not(settings: list[str], says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        train_ranker(config().with_settings(settings), tmp_path, Results(tmp_path), torch.device("cpu"))


def test_images_without_a_patch_are_passed_over(tmp_path: Path) -> None:
    write_png(tmp_path / "tiny.png", np.zeros((3, 3, 3), np.uint8))
    images = [TrainingImage("tiny.png", tmp_path / "tiny.png", "0" * 64)] * 2
    versions = {"HR": None, "nearest": direct_upscaler("nearest")}
    with pytest.raises(UserError, match="no patch of 200"):
        make_rank_data(tmp_path / "rank", images, versions, Selection(200, 100))
