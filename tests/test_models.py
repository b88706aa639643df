"""The recognisers: sizes as published, inputs as described, settings that say what is wrong with them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from austicker import models
from austicker.models import MODELS
from austicker.models.mmnet import CABlock, MMNet
from austicker.models.mobilenetv2 import MobileNetV2Network
from austicker.models.mobilenetv2 import channels as mobile_channels
from austicker.models.resnet20 import ResNet20Network
from austicker.models.stcnn import STCNN, STCNNetwork, area_weights
from austicker.models.vgg16 import VGG16Network
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


def as_keras_counts(network):
    """Returns the number of parameters with the moving averages of batch normalisation, which Keras counts too."""
    averages = sum(buffer.numel() for name, buffer in network.named_buffers() if "running_" in name)
    return averages + sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("side", "channels", "total"), [(128, 1, 280_679), (128, 3, 280_967), (32, 1, 273_959), (32, 3, 274_247)]
)
def test_resnet20_has_the_published_parameters(side, channels, total):
    network = ResNet20Network(7, 1.0, side, channels)
    assert as_keras_counts(network) == total
    assert sum(isinstance(layer, (nn.Conv2d, nn.Linear)) for layer in network.modules()) == 20 + 2  # 2 on shortcuts
    if (side, channels) == (128, 1):
        assert as_keras_counts(recogniser("resnet20").network(7)) == total
        _, used = counts(network, torch.randn(2, 1, side, side))
        assert used == sum(p.numel() for p in network.parameters())


def test_mobilenetv2_has_the_published_parameters():
    backbone = MobileNetV2Network(8, 1.0).backbone
    assert sum(p.numel() for p in backbone.parameters()) == 2_223_872
    assert as_keras_counts(backbone) == 2_257_984
    whole = recogniser("mobilenetv2").network(8)
    assert sum(p.numel() for p in whole.head.parameters()) == 1280 * 128 + 128 + 128 * 8 + 8
    assert backbone(torch.randn(2, 3, 224, 224)).shape == (2, 1280, 7, 7)


def test_mobilenetv2_scales_its_channels_as_the_paper():
    # By hand: 24 * 0.35 = 8.4 -> 8; 96 * 0.35 = 33.6 -> 32; 16 * 0.7 = 11.2 -> 8 is below nine tenths -> 16.
    assert [mobile_channels(24, 0.35), mobile_channels(96, 0.35), mobile_channels(16, 0.7)] == [8, 32, 16]
    assert [MobileNetV2Network(8, width).head[0].in_features for width in (0.35, 1.4)] == [1280, 1792]


def test_vgg16_has_the_published_convolutions():
    network = VGG16Network(7, 1.0)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 13
    assert sum(p.numel() for layer in convolutions for p in layer.parameters()) == 14_714_688
    assert network.backbone(torch.randn(2, 3, 48, 48)).shape == (2, 512, 1, 1)
    assert sum(p.numel() for p in network.head.parameters()) == 512 * 512 + 512 + 512 * 7 + 7


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("mmnet", {"width": 0.06, "input_px": 50}),
        ("stcnn", {"width": 0.1}),
        ("resnet20", {"width": 0.1, "input_px": 48}),
        ("resnet20", {"width": 0.1, "input_px": 33}),
        ("mobilenetv2", {"width": 0.1, "input_px": 64}),
        ("vgg16", {"width": 0.05}),
        ("vgg16", {"width": 0.05, "input_px": 96}),
    ],
)
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
    restored = model.restored(classes, network.state_dict())
    assert torch.equal(restored.eval()(inputs), network.eval()(inputs))
    assert model.features(pixels) is None


def test_resnet20_pools_the_whole_face_where_8_does_not_divide_it():
    network = recogniser("resnet20", width=0.1, input_px=48).network(2).eval()
    pictures = torch.rand(2, 1, 48, 48)
    maps = network.blocks(F.relu(network.stem(pictures)))
    assert maps.shape[2:] == (12, 12)  # of which a pool of 8 would leave out a third
    torch.testing.assert_close(network(pictures), network.output(maps.mean((2, 3))))


def test_resnet20_pools_by_8_at_the_published_size():
    network = recogniser("resnet20", width=0.1).network(2).eval()
    maps = torch.randn(1, 6, 32, 32)
    network.blocks = nn.Identity()
    network.stem = nn.Identity()
    expected = network.output(F.avg_pool2d(F.relu(maps), 8).flatten(1))
    torch.testing.assert_close(network(maps), expected)


STILL = {"resnet20": {}, "mobilenetv2": {"input_px": 64}, "vgg16": {}}


@pytest.mark.parametrize("name", STILL)
def test_the_recognisers_of_one_picture_look_at_the_apex(name):
    assert recogniser(name).frame_indices(CLIP) == (63,)


def test_recognisers_of_one_picture_normalise_as_their_papers():
    ends = torch.tensor([0.0, 255.0]).view(2, 1, 1, 1, 1)
    colour = ends.expand(-1, -1, 3, -1, -1)
    assert recogniser("mobilenetv2").normalise(colour, {})[:, :, 0, 0].tolist() == [[-1.0] * 3, [1.0] * 3]
    assert recogniser("vgg16").normalise(ends, {})[:, :, 0, 0].tolist() == [[-1.0] * 3, [1.0] * 3]
    network = recogniser("resnet20")
    statistics = network.fit_statistics(ends)
    assert statistics == {"mean": 127.5}
    assert network.normalise(ends, statistics).flatten().tolist() == [-0.5, 0.5]


def test_a_picture_is_mirrored_by_half_and_shifted_by_a_sixteenth_at_most():
    model = recogniser("vgg16")
    picture = torch.arange(48.0).expand(200, 1, 1, 48, 48) + 100 * torch.arange(48.0)[:, None]
    moved = model.augment(picture, torch.Generator().manual_seed(0))
    columns, rows = moved[:, 0, 0, 24, :] % 100, moved[:, 0, 0, :, 24] // 100
    mirrored = columns[:, 30] < columns[:, 20]
    assert 70 < int(mirrored.sum()) < 130
    across = torch.where(mirrored, 47 - columns[:, 24], columns[:, 24]) - 24
    down = rows[:, 24] - 24
    assert set(across.tolist()) == set(down.tolist()) == set(range(-3, 4))
    # What comes in repeats the edge: no value is new, and neighbours are at most one apart.
    assert columns.diff(dim=1).abs().max() == rows.diff(dim=1).abs().max() == 1
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (0, 47, 0, 47)


def test_weight_decay_spares_all_but_kernels():
    kept = {"resnet20": (nn.Conv2d,), "mobilenetv2": (nn.Conv2d, nn.Linear), "vgg16": (nn.Conv2d, nn.Linear)}
    for name, kinds in kept.items():
        model = recogniser(name, width=0.1)
        network = model.network(2)
        spared = {id(parameter) for parameter in model.undecayed(network)}
        decayed = {id(layer.weight) for layer in network.modules() if isinstance(layer, kinds)}
        assert decayed == {id(parameter) for parameter in network.parameters()} - spared
    assert not list(recogniser("mmnet", width=0.06).undecayed(nn.Linear(1, 1)))


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
    ("name", "overrides", "label"),
    [
        ("mmnet", {}, "mmnet"),
        ("mmnet", {"width": 1, "epochs": 99}, "mmnet"),
        ("mmnet", {"width": 0.25, "input_px": 112, "epochs": 3}, "mmnet-w0.25-112px"),
        ("mmnet", {"epochs": 20}, "mmnet-20ep"),
        ("mmnet", {"augment": False, "selection": "oracle-epoch"}, "mmnet-augment-off-oracle-epoch"),
        ("mmnet", {"epochs": 20, "label": "mine"}, "mine"),
        ("resnet20", {"input_px": 64}, "resnet20-64px"),
        ("resnet20", {"drops": [[80, 0.1], [120, 0.01], [160, 1e-3], [180, 5e-4]]}, "resnet20"),
        ("resnet20", {"drops": [[8, 0.1], [12, 1]]}, "resnet20-drops-8-12"),
        ("resnet20", {"drops": []}, "resnet20-drops-off"),
        ("landmark-forest", {}, "landmark-forest"),
        ("landmark-forest", {"features": "euclid"}, "landmark-forest-euclid"),
        ("landmark-forest", {"trees": 10, "landmarks": "dlib"}, "landmark-forest-10trees-dlib"),
    ],
)
def test_labels_say_what_is_not_as_published(name, overrides, label):
    assert models.settings(name, **overrides).label == label


def test_published_recipes_fill_every_setting():
    for name in MODELS.names():
        chosen = models.settings(name)
        assert {key: getattr(chosen, key) for key in models.FIELDS} == models.published(name)
    assert isinstance(models.settings("mmnet", width=1).width, float)
    assert models.settings("resnet20").drops == ((80, 0.1), (120, 0.01), (160, 0.001), (180, 0.0005))
    forest = models.settings("landmark-forest", trees=10)
    assert (forest.trees, forest.features, forest.landmarks, forest.epochs) == (10, "xy", "mediapipe", 0)


def test_a_recogniser_gives_what_its_recipe_says():
    assert {name: models.access(name) for name in MODELS.names()} == {
        name: MODELS[name].access for name in MODELS.names()
    }
    assert models.access("landmark-forest") == "scores"


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
        ("stcnn", {"optimiser": "adan"}, "did you mean 'adam'"),
        ("stcnn", {"selection": "best"}, "'fixed-epoch' or 'oracle-epoch', not 'best'"),
        ("stcnn", {"augment": "yes"}, "takes true or false, not 'yes'"),
        ("stcnn", {"label": ""}, "takes a text"),
        ("stcnn", {"drops": [[8, 0.1]]}, "Model 'stcnn' has no setting 'drops'; it has width, input_px"),
        ("resnet20", {"trees": 10}, "Model 'resnet20' has no setting 'trees'"),
        ("resnet20", {"poison": {}}, "Model 'resnet20' has no setting 'poison'"),
        ("resnet20", {"drops": [[8, 0.1], [8, 0.01]]}, "later epochs one after the other, not [8, 8]"),
        ("resnet20", {"drops": [[8, 0.0]]}, "takes pairs of epochs done"),
        ("resnet20", {"drops": [[8, 1.5]]}, "takes pairs of epochs done"),
        ("resnet20", {"drops": [[8.5, 0.5]]}, "takes pairs of epochs done"),
        ("resnet20", {"drops": [8, 0.5]}, "takes pairs of epochs done"),
        ("resnet20", {"drops": "never"}, "takes pairs of epochs done"),
        ("resnet20", {"input_px": 31}, "between 32 and 512, not 31"),
        ("mobilenetv2", {"input_px": 48}, "between 64 and 512, not 48"),
        ("vgg16", {"frames": 2}, "must be 1, not 2"),
        ("landmark-forest", {"epochs": 3}, "Model 'landmark-forest' has no setting 'epochs'; it has frames, trees"),
        ("landmark-forest", {"width": 0.5}, "Model 'landmark-forest' has no setting 'width'"),
        ("landmark-forest", {"trees": 0}, "between 1 and 10000, not 0"),
        ("landmark-forest", {"tree": 5}, "did you mean 'trees'"),
        ("landmark-forest", {"features": "yx"}, "takes 'xy' or 'euclid' or 'both', not 'yx'"),
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
    assert models.access("blink") == "gradients"
    Blink.RECIPE = {"fitted": True, "access": "scores", "frames": 1, "trees": 7}
    assert models.access("blink") == "scores"
    assert models.settings("blink", trees=8).label == "blink-8trees"
    with pytest.raises(AustickerError, match="lacks width, input_px"):
        models.settings("nameless")


def test_settling_a_model_imports_no_torch():
    code = (
        "import sys; from austicker import models; models.settings('mmnet', width=0.5); models.access('resnet20'); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
