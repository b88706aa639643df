"""The recognisers: sizes as published, inputs as described, settings that say what is wrong with them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from austicker import models
from austicker.models import MODELS
from austicker.models.mmnet import CABlock, MMNet
from austicker.models.stcnn import STCNN, STCNNetwork, area_weights
from austicker.types import AustickerError, Clip

CLIP = Clip(corpus="toy", clip="1", subject="1", label=0, onset=3, apex=63, offset=103)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_num_threads(before)


def recogniser(name, **overrides):
    return MODELS[name](models.settings(name, **overrides))


def counts(network, inputs):
    """Returns all parameters, and those that get a gradient from the logits."""
    network.train()
    network(inputs).square().sum().backward()
    parameters = list(network.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.grad is not None)


@pytest.mark.parametrize(("classes", "total", "used"), [(3, 9_773_825, 9_241_719), (5, 9_970_947, 9_438_841)])
def test_mmnet_has_the_published_parameters(classes, total, used):
    network = recogniser("mmnet").network(classes)
    assert counts(network, torch.randn(1, 2, 3, 224, 224)) == (total, used)
    assert sum(p.numel() for p in network.stem.parameters()) == 5_220
    main = [*network.entry.parameters(), *network.blocks.parameters()]
    assert sum(p.numel() for p in main) == 2_523_664
    assert sum(p.numel() for p in network.unused.parameters()) == total - used


@pytest.mark.parametrize(("frames", "total"), [(18, 1_643_267), (32, 9_835_267), (96, 44_241_667)])
def test_stcnn_has_the_published_parameters(frames, total):
    network = recogniser("stcnn", frames=frames).network(3)
    assert counts(network, torch.randn(1, frames, 64, 64)) == (total, total)


@pytest.mark.parametrize(("name", "overrides"), [("mmnet", {"width": 0.06, "input_px": 50}), ("stcnn", {"width": 0.1})])
@pytest.mark.parametrize("classes", [2, 3])
def test_scaled_networks_classify_any_number_of_classes(name, overrides, classes):
    model = recogniser(name, **overrides)
    channels = 3 if model.colour == "rgb" else 1
    pixels = torch.rand(2, model.settings.frames, channels, 70, 60) * 255
    resized = model.resize(pixels)
    side = model.settings.input_px
    assert resized.shape == (2, model.settings.frames, channels, side, side)
    network = model.network(classes)
    inputs = model.normalise(resized, model.fit_statistics(resized))
    assert network(inputs).shape == (2, classes)


def test_mmnet_sees_no_motion_in_equal_frames():
    network = recogniser("mmnet", width=0.06, input_px=64).network(3).eval()
    seen = []
    network.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    frame = torch.rand(1, 1, 3, 64, 64)
    network(torch.cat([frame, frame + 0.5], dim=1))
    torch.testing.assert_close(seen[0], torch.full((1, 3, 64, 64), 0.5))


def test_attention_is_weighed_by_the_strongest_of_the_block_before():
    block = CABlock(4, 4, 2).eval()
    features, prior = torch.randn(1, 4, 8, 8), torch.zeros(1, 1, 8, 8)
    prior[0, 0, 3, 3] = 1.0
    alone, attention = block(features, None)
    weighed, combined = block(features, prior)
    kept = torch.zeros(1, 1, 4, 4)
    kept[..., 1:3, 1:3] = 1.0  # the 3 x 3 windows of stride 2 that hold (3, 3)
    torch.testing.assert_close(combined, attention * kept)
    torch.testing.assert_close(weighed, alone * kept)


def test_mmnet_drops_paths_only_in_the_three_class_configuration():
    drops = {n: [block.drop for block in recogniser("mmnet", width=0.06).network(n).position.blocks] for n in (3, 5)}
    assert drops[3] == pytest.approx([0, 0.15, 0.3])
    assert drops[5] == [0, 0]


def test_mmnet_normalises_as_imagenet():
    model = recogniser("mmnet")
    white = model.normalise(torch.full((1, 2, 3, 4, 4), 255.0), {})
    expected = torch.tensor([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225])
    torch.testing.assert_close(white[0, 1, :, 2, 2], expected)


def test_mmnet_augments_both_frames_of_a_clip_alike_and_clips_differently():
    model = recogniser("mmnet", input_px=64)
    picture = torch.rand(1, 1, 3, 64, 64) * 255
    moved = model.augment(picture.expand(4, 2, -1, -1, -1).clone(), torch.Generator().manual_seed(1))
    assert torch.equal(moved[:, 0], moved[:, 1])
    assert not torch.equal(moved[0], moved[1])
    assert not torch.equal(moved[0, 0], picture[0, 0])


def centroids(pictures):
    """Returns (clip, channel, 2) centres (x, y) of what is bright."""
    bright, along = (pictures > 200).float(), torch.arange(float(pictures.shape[-1]))
    x, y = ((bright.sum(axis) * along).sum(-1) / bright.sum((-2, -1)) for axis in (-2, -1))
    return torch.stack([x, y], dim=-1)


def test_mmnet_augmentation_flips_turns_a_little_and_shifts_within_the_padding():
    model = recogniser("mmnet", input_px=224)
    picture = torch.zeros(64, 2, 3, 224, 224)
    for channel, (y, x) in enumerate(((100, 40), (100, 140), (190, 40))):
        picture[:, :, channel, y : y + 10, x : x + 10] = 255.0
    places = centroids(model.augment(picture, torch.Generator().manual_seed(0))[:, 0])
    flipped = places[:, 0, 0] > 112
    assert 16 < int(flipped.sum()) < 48
    places[flipped, :, 0] = 223 - places[flipped, :, 0]
    # 67 px left of the centre: 4 degrees turn by 4.7 px, the crop shifts by 4.
    assert ((places[:, 0, 0] - 44.5).abs() < 5.5).all()
    assert ((places[:, 0, 1] - 104.5).abs() < 9.5).all()
    assert (places[:, 0, 1] - 104.5).abs().max() > 4.5
    right, down = places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]
    torch.testing.assert_close(right.norm(dim=1), torch.full((64,), 100.0), atol=1, rtol=0)
    torch.testing.assert_close(down.norm(dim=1), torch.full((64,), 90.0), atol=1, rtol=0)
    angles = torch.rad2deg(torch.atan2(right[:, 1], right[:, 0]))
    assert angles.min() < -3
    assert angles.max() > 3
    assert angles.abs().max() < 4.5
    assert ((right * down).sum(1).abs() / 9000 < 0.02).all()


def test_mmnet_jitters_within_the_published_window():
    model = recogniser("mmnet")
    generator = np.random.default_rng(0)
    drawn = np.array([model.jittered_frame_indices(CLIP, generator) for _ in range(300)])
    assert set(drawn[:, 0]) == {3, 4, 5, 6}
    assert set(drawn[:, 1]) == {61, 62, 63, 64}
    assert recogniser("mmnet", augment=False).jittered_frame_indices(CLIP, generator) == (3, 63)


def test_stcnn_equals_the_three_dimensional_network_of_the_paper():
    network = STCNNetwork(3, 0.25, 32, 22).eval()
    inputs = torch.randn(2, 22, 32, 32)
    kernel = network.convolution.weight[:, None]  # (filter, 1, 15, 3, 3)
    maps = F.relu(F.conv3d(inputs[:, None], kernel, network.convolution.bias))
    features = F.max_pool3d(maps, 3).transpose(1, 2).flatten(1)
    expected = network.output(F.relu(network.hidden(features)))
    torch.testing.assert_close(network(inputs), expected)


def test_stcnn_samples_frames_in_order_of_time():
    model = recogniser("stcnn")
    indices = model.frame_indices(CLIP)
    assert len(indices) == 18
    assert (indices[0], indices[-1]) == (3, 103)
    assert list(indices) == sorted(set(indices))
    short = Clip(corpus="toy", clip="2", subject="1", label=0, onset=0, apex=2, offset=5)
    assert set(model.frame_indices(short)) == {0, 1, 2, 3, 4, 5}


def test_stcnn_statistics_are_mean_and_peak_above_it():
    pixels = torch.tensor([0.0, 50.0, 100.0, 250.0]).view(1, 1, 1, 2, 2)
    model = recogniser("stcnn")
    assert model.fit_statistics(pixels) == {"mean": 100.0, "peak": 150.0}
    assert model.normalise(pixels, {"mean": 100.0, "peak": 150.0}).flatten().tolist()[1:] == pytest.approx(
        [-1 / 3, 0, 1]
    )


def test_area_weights_share_pixels_as_opencv_does():
    cv2 = pytest.importorskip("cv2")
    picture = np.random.default_rng(0).uniform(0, 255, (50, 41)).astype(np.float32)
    ours = area_weights(50, 16) @ torch.from_numpy(picture) @ area_weights(41, 16).T
    expected = cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-4)
    assert torch.equal(area_weights(5, 5), torch.eye(5))


@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        ({}, "mmnet"),
        ({"width": 1, "epochs": 99}, "mmnet"),
        ({"width": 0.25, "input_px": 112, "epochs": 3}, "mmnet-w0.25-112px"),
        ({"epochs": 20}, "mmnet-20ep"),
        ({"augment": False, "selection": "oracle-epoch"}, "mmnet-augment-off-oracle-epoch"),
        ({"epochs": 20, "label": "mine"}, "mine"),
    ],
)
def test_labels_say_what_is_not_as_published(overrides, label):
    assert models.settings("mmnet", **overrides).label == label


def test_published_recipes_fill_every_setting():
    for name in ("mmnet", "stcnn"):
        chosen = models.settings(name)
        assert {key: getattr(chosen, key) for key in models.FIELDS} == models.published(name)
    assert isinstance(models.settings("mmnet", width=1).width, float)


@pytest.mark.parametrize(
    ("name", "overrides", "sentence"),
    [
        ("mmnett", {}, "did you mean 'mmnet'"),
        ("mmnet", {"epoch": 3}, "did you mean 'epochs'"),
        ("mmnet", {"epochs": 2.5}, "takes a whole number, not 2.5"),
        ("mmnet", {"epochs": True}, "takes a whole number, not True"),
        ("mmnet", {"epochs": 0}, "between 1 and 100000, not 0"),
        ("mmnet", {"width": "wide"}, "takes a number, not 'wide'"),
        ("mmnet", {"learning_rate": float("nan")}, "takes a number, not nan"),
        ("mmnet", {"frames": 3}, "must be 2, not 3"),
        ("stcnn", {"frames": 16}, "between 17 and 512"),
        ("stcnn", {"optimiser": "adam"}, "did you mean 'adamw'"),
        ("stcnn", {"selection": "best"}, "'fixed-epoch' or 'oracle-epoch', not 'best'"),
        ("stcnn", {"augment": "yes"}, "takes true or false, not 'yes'"),
        ("stcnn", {"label": ""}, "takes a text"),
    ],
)
def test_faulty_settings_are_refused_in_one_sentence(name, overrides, sentence):
    with pytest.raises(AustickerError) as fault:
        models.settings(name, **overrides)
    assert sentence in str(fault.value)
    assert str(fault.value).endswith(".")
    assert "\n" not in str(fault.value)


def test_a_model_of_another_package_brings_its_recipe(monkeypatch):
    class Blink(STCNN):
        RECIPE = {**models.published("stcnn"), "epochs": 7}

    class Nameless(MMNet):
        pass

    monkeypatch.setitem(MODELS._addresses, "blink", f"{__name__}:Blink")
    monkeypatch.setitem(MODELS._addresses, "nameless", f"{__name__}:Nameless")
    monkeypatch.setitem(globals(), "Blink", Blink)
    monkeypatch.setitem(globals(), "Nameless", Nameless)
    assert models.settings("blink").epochs == 7
    assert models.settings("blink", epochs=8).label == "blink-8ep"
    with pytest.raises(AustickerError, match="lacks width, input_px"):
        models.settings("nameless")


def test_settling_a_model_imports_no_torch():
    code = (
        "import sys; from austicker import models; models.settings('mmnet', width=0.5); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
