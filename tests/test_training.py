"""Training on a planted toy corpus: learns, repeats, and looks at nothing but its clips."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch

from austicker import models, training
from austicker.models import MODELS
from austicker.models.recogniser import Fitted
from austicker.types import AustickerError, Clip, Corpus

FRAMES = 20
SIDE = 40
SMALL = {
    "mmnet": {"width": 0.06, "input_px": 32, "epochs": 40, "batch": 4, "augment": False, "learning_rate": 3e-3},
    "stcnn": {"width": 0.25, "input_px": 32, "epochs": 40, "batch": 4, "learning_rate": 0.05},
    "resnet20": {"width": 0.25, "input_px": 32, "epochs": 24, "batch": 4, "learning_rate": 1e-2, "drops": [[12, 0.1]]},
    # So deep that its batch statistics need many steps to settle.
    "mobilenetv2": {"width": 0.2, "input_px": 64, "epochs": 60, "batch": 4, "learning_rate": 2e-3}
    | {"optimiser": "adam", "drops": [[30, 0.02]]},
    "vgg16": {"width": 0.1, "input_px": 32, "epochs": 16, "batch": 4, "learning_rate": 3e-3, "augment": False},
}
"""Every recogniser that learns by gradients, so small that it learns within seconds."""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def toy_corpus(clips=12, channels=1, seed=0):
    """A bright blob moves to the right (class 0), down (1) or not at all (2)."""
    rng = np.random.default_rng(seed)
    ys, xs = np.mgrid[:SIDE, :SIDE]
    frames = np.zeros((clips, FRAMES, SIDE, SIDE, channels), np.uint8)
    records = []
    for number in range(clips):
        x0, y0 = rng.uniform(8, 16, 2)
        dx, dy = ((14, 0), (0, 14), (0, 0))[number % 3]
        for frame in range(FRAMES):
            x, y = (start + step * frame / (FRAMES - 1) for start, step in ((x0, dx), (y0, dy)))
            blob = 200 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 30) + rng.uniform(0, 20, xs.shape)
            frames[number, frame] = blob[..., None]
        records.append(
            Clip(
                corpus="toy", clip=str(number), subject=str(number // 3), label=number % 3, onset=0, apex=19, offset=19
            )
        )
    landmarks = np.zeros((clips, FRAMES, 68, 2), np.float32)
    motion = np.zeros((clips, 14), np.float32)
    labels = ("right", "down", "still")
    return Corpus(
        name="toy",
        labels=labels,
        clips=tuple(records),
        fingerprint="toy",
        digests=tuple((record.clip,) for record in records),
        frames=frames,
        landmarks=landmarks,
        motion=motion,
    )


def small(name, **overrides):
    return MODELS[name](models.settings(name, **{**SMALL[name], **overrides}))


def clean_scores(trained, corpus, positions):
    recogniser = trained.recogniser
    indices = [recogniser.frame_indices(corpus.clips[position]) for position in positions]
    return training.scores(trained, training.pixels(corpus, positions, indices, recogniser.colour, "cpu"))


def same_weights(one, other):
    theirs = other.network.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.network.state_dict().items())


class Brightness(Fitted):
    """Answers by the nearest mean brightness of the apex, and with no face where a picture is black."""

    colour = "gray"
    remembered_s = 0.0

    def frame_indices(self, clip):
        return (clip.apex,)

    def resize(self, pixels):
        return pixels

    def normalise(self, resized, statistics):
        self.remembered_s += 100.0 * len(resized)
        return resized.mean((1, 2, 3, 4))

    def spared_s(self):
        return self.remembered_s

    def fit(self, pixels, labels, classes, seed):
        self.remembered_s += 1000.0
        brightness = pixels.mean((1, 2, 3, 4))
        module = torch.nn.Module()
        module.register_buffer("means", torch.stack([brightness[labels == n].mean() for n in range(classes)]))
        return self._answering(module)

    def restored(self, classes, tensors):
        module = torch.nn.Module()
        module.register_buffer("means", tensors["means"])
        return self._answering(module)

    @staticmethod
    def _answering(module):
        def forward(brightness):
            seen = torch.nn.functional.one_hot((brightness[:, None] - module.means).abs().argmin(1), len(module.means))
            blind = (brightness == 0)[:, None]
            return torch.cat([seen * ~blind, blind], dim=1).float().log()

        module.forward = forward
        return module


def brightness_of(corpus):
    """Returns a corpus whose apex is as bright as its class, but for the last clip, which is black."""
    frames = np.stack([np.full_like(corpus.frames[0], 50 * (clip.label + 1)) for clip in corpus.clips])
    frames[-1] = 0
    return dataclasses.replace(corpus, frames=frames)


def fitted_brightness():
    return Brightness(dataclasses.replace(models.settings("landmark-forest"), name="brightness", label="brightness"))


def test_what_is_fitted_in_one_go_gives_its_probabilities_back():
    corpus = brightness_of(toy_corpus(10))
    recogniser = fitted_brightness()
    trained = training.train(recogniser, corpus, range(9), seed=0)
    assert (trained.curve, trained.epoch, trained.classes) == ((), 0, 3)
    expected = torch.eye(4)[[0, 1, 2, 3]]
    assert torch.equal(clean_scores(trained, corpus, [0, 1, 2, 9]), expected)
    restored = dataclasses.replace(trained, network=recogniser.restored(3, trained.network.state_dict()))
    assert torch.equal(clean_scores(restored, corpus, [0, 1, 2, 9]), expected)
    with pytest.raises(AustickerError, match="'brightness' is fitted in one go"):
        recogniser.network(3)


def test_what_was_remembered_counts_as_time():
    trained = training.train(fitted_brightness(), brightness_of(toy_corpus(9)), range(9), seed=0)
    assert 1000 < trained.seconds["training"] < 1100
    assert 100 < trained.seconds["answering"] < 200


def test_every_training_says_how_long_it_took():
    corpus = toy_corpus(8)
    start = time.perf_counter()
    trained = training.train(small("stcnn", epochs=1), corpus, range(8), seed=0)
    taken = time.perf_counter() - start
    assert 0 < trained.seconds["answering"] < trained.seconds["training"] < taken
    recogniser = small("stcnn", epochs=1, selection="oracle-epoch")
    assert training.train_oracle_epoch(recogniser, corpus, range(6), [6], seed=0).seconds["training"] > 0


@pytest.mark.parametrize("name", SMALL)
def test_learns_eight_clips_by_heart(name):
    corpus = toy_corpus(8)
    trained = training.train(small(name), corpus, range(8), seed=1)
    answer = clean_scores(trained, corpus, range(8))
    assert answer.dtype == torch.float32
    torch.testing.assert_close(answer.sum(1), torch.ones(8))
    assert answer.argmax(1).tolist() == [clip.label for clip in corpus.clips]
    assert len(trained.curve) == trained.epoch == trained.settings.epochs
    assert trained.curve[-1].loss < 0.5 * trained.curve[0].loss


def test_every_recogniser_that_learns_by_gradients_is_put_to_the_test():
    assert set(SMALL) == {name for name in MODELS.names() if models.access(name) == "gradients"}


def test_generalises_to_blobs_that_start_elsewhere():
    corpus = toy_corpus(30)
    trained = training.train(small("mmnet", augment=False), corpus, range(18), seed=1)
    answer = clean_scores(trained, corpus, range(18, 30)).argmax(1)
    assert sum(a == corpus.clips[n].label for n, a in enumerate(answer.tolist(), 18)) >= 10


@pytest.mark.parametrize(("name", "augment"), [("mmnet", True), ("stcnn", False), ("resnet20", True), ("vgg16", True)])
def test_the_seed_decides_every_weight_and_the_caller_keeps_its_generator(name, augment):
    corpus = toy_corpus()
    recogniser = small(name, epochs=2, augment=augment)
    state = torch.random.get_rng_state()
    first = training.train(recogniser, corpus, range(12), seed=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(3)
    assert same_weights(first, training.train(recogniser, corpus, range(12), seed=5))
    assert not same_weights(first, training.train(recogniser, corpus, range(12), seed=6))


@pytest.mark.parametrize("name", ["mmnet", "stcnn"])
def test_only_the_training_clips_are_looked_at(name):
    corpus = toy_corpus()
    frames = corpus.frames.copy()
    frames[8:] = 255 - frames[8:]
    clips = (*corpus.clips[:8], *(dataclasses.replace(clip, label=0) for clip in corpus.clips[8:]))
    other = dataclasses.replace(corpus, frames=frames, clips=clips)
    recogniser = small(name, epochs=1)
    one, two = (training.train(recogniser, each, range(8), seed=0) for each in (corpus, other))
    assert same_weights(one, two)
    assert one.statistics == two.statistics
    frames[0] = 255 - frames[0]
    assert not same_weights(one, training.train(recogniser, other, range(8), seed=0))


def test_statistics_are_those_of_the_resized_training_clips():
    corpus = toy_corpus()
    # A clip shorter than the model's frames: repeated frames count as often as they are shown.
    clips = tuple(dataclasses.replace(clip, onset=number, offset=14) for number, clip in enumerate(corpus.clips))
    corpus = dataclasses.replace(corpus, clips=clips)
    trained = training.train(small("stcnn", epochs=1), corpus, [4, 7], seed=0)
    recogniser = trained.recogniser
    indices = [recogniser.frame_indices(corpus.clips[position]) for position in (4, 7)]
    resized = recogniser.resize(training.pixels(corpus, [4, 7], indices, "gray", "cpu"))
    mean = float(resized.mean())
    assert trained.statistics == pytest.approx({"mean": mean, "peak": float(resized.max()) - mean})


def test_the_learning_rate_decays_for_the_first_epochs_only():
    corpus = toy_corpus(6)
    recogniser = small("stcnn", epochs=4, decay=0.5, decay_epochs=2, learning_rate=0.01)
    with training._seeded(0, torch.device("cpu")):
        course = training._Course(recogniser, corpus, range(6), seed=0, device=torch.device("cpu"))
        rates = []
        for number in range(4):
            course.epoch(number)
            rates.append(course._optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([0.01, 0.005, 0.0025, 0.0025])


def test_drops_replace_one_another_and_multiply_the_decay():
    drops = ((2, 0.1), (4, 0.05))
    chosen = models.settings("resnet20", learning_rate=0.01, drops=drops)
    assert [training.learning_rate(chosen, epoch) for epoch in range(6)] == pytest.approx(
        [0.01, 0.01, 0.001, 0.001, 0.0005, 0.0005]
    )
    decaying = models.settings("resnet20", learning_rate=0.01, drops=drops, decay=0.5, decay_epochs=3)
    assert [training.learning_rate(decaying, epoch) for epoch in (1, 2, 5)] == pytest.approx(
        [0.005, 0.00025, 0.0000625]
    )


def test_drops_reach_the_training():
    corpus = toy_corpus(6)
    plain = training.train(small("resnet20", epochs=2, drops=[]), corpus, range(6), seed=0)
    later = training.train(small("resnet20", epochs=2, drops=[[2, 0.1]]), corpus, range(6), seed=0)
    sooner = training.train(small("resnet20", epochs=2, drops=[[1, 0.1]]), corpus, range(6), seed=0)
    assert same_weights(plain, later)
    assert not same_weights(plain, sooner)


def test_adam_decays_the_kernels_through_the_gradient():
    recogniser = small("resnet20", optimiser="adam", learning_rate=0.01, weight_decay=0.5)
    network = recogniser.network(3)
    optimiser = training._optimiser(recogniser, network)
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, -2, -1)
        parameter.grad = torch.zeros_like(parameter)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    optimiser.step()
    for name, parameter in network.named_parameters():
        # Adam's first step has the length of the learning rate, whatever the gradient; decoupled it would scale.
        step = 0.01 if parameter.ndim == 4 else 0.0
        torch.testing.assert_close(parameter.detach(), before[name] + step, atol=1e-5, rtol=0)


def test_jittered_training_sees_exactly_the_planned_frames():
    corpus = toy_corpus(3)
    corpus = dataclasses.replace(corpus, frames=np.repeat(corpus.frames, 6, axis=1))
    clips = tuple(dataclasses.replace(clip, apex=80, offset=119) for clip in corpus.clips)
    corpus = dataclasses.replace(corpus, clips=clips)
    recogniser = small("mmnet", augment=True, epochs=5)
    plan = training._frame_plan(recogniser, corpus, [2, 0], np.random.default_rng(0))
    store, rows = training._resized_once(recogniser, corpus, [2, 0], plan, torch.device("cpu"))
    assert len(np.unique(plan[:-1, 0, 0])) > 1
    assert len(store) < plan.size
    for epoch in range(6):
        expected = recogniser.resize(training.pixels(corpus, [2, 0], plan[epoch].tolist(), "rgb", "cpu"))
        torch.testing.assert_close(store[rows[epoch]], expected)


def test_pixels_convert_colour_and_keep_order():
    gray, rgb = toy_corpus(3, 1), toy_corpus(3, 3)
    rgb.frames[..., 1] //= 2
    out = training.pixels(gray, [2, 0], [(0, 5), (7, 1)], "rgb", "cpu")
    assert out.shape == (2, 2, 3, SIDE, SIDE)
    assert np.array_equal(out[1, 0, 2].numpy(), gray.frames[0, 7, ..., 0].astype(np.float32))
    luma = training.pixels(rgb, [1], [(3,)], "gray", "cpu")
    expected = rgb.frames[1, 3].astype(np.float64) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(luma[0, 0, 0].numpy(), expected, rtol=1e-5)
    assert np.array_equal(training.pixels(gray, [1], [(3,)], "gray", "cpu")[0, 0, 0], gray.frames[1, 3, ..., 0])


def test_a_pixel_has_a_gradient_through_the_whole_recogniser():
    corpus = toy_corpus(6)
    trained = training.train(small("mmnet", epochs=1), corpus, range(6), seed=0)
    frames = training.pixels(corpus, [0], [(0, 19)], "rgb", "cpu").requires_grad_()
    training.logits(trained, frames)[0, 0].backward()
    assert frames.grad is not None
    assert float(frames.grad.abs().sum()) > 0


def test_scores_do_not_depend_on_the_batch():
    corpus = toy_corpus(6)
    trained = training.train(small("mmnet", epochs=2), corpus, range(6), seed=0)
    frames = training.pixels(corpus, range(6), [(0, 19)] * 6, "rgb", "cpu")
    many = training.scores(trained, frames.repeat(12, 1, 1, 1, 1))
    torch.testing.assert_close(many[66:], training.scores(trained, frames), atol=1e-5, rtol=0)


def test_the_oracle_keeps_the_first_epoch_with_most_held_out_clips_right():
    corpus = toy_corpus(18)
    recogniser = small("mmnet", epochs=25, batch=3, learning_rate=5e-3, selection="oracle-epoch")
    trained = training.train_oracle_epoch(recogniser, corpus, range(9), range(9, 18), seed=2)
    right = [epoch.held_out_correct for epoch in trained.curve]
    assert trained.epoch == right.index(max(right)) + 1
    assert right[0] < max(right)
    assert right.count(max(right)) > 1
    answer = clean_scores(trained, corpus, range(9, 18)).argmax(1)
    assert int((answer == torch.tensor([clip.label for clip in corpus.clips[9:]])).sum()) == max(right)
    # Judging the held-out clips changes nothing of the training itself.
    shorter = small("mmnet", epochs=trained.epoch, batch=3, learning_rate=5e-3)
    assert same_weights(trained, training.train(shorter, corpus, range(9), seed=2))


def test_faults_are_said():
    corpus = toy_corpus(3)
    with pytest.raises(AustickerError, match="needs training clips"):
        training.train(small("stcnn"), corpus, [], seed=0)
    with pytest.raises(AustickerError, match="needs held-out clips"):
        training.train_oracle_epoch(small("stcnn", selection="oracle-epoch"), corpus, [0], [], seed=0)
    with pytest.raises(AustickerError, match="diverged in epoch"):
        training.train(small("stcnn", learning_rate=10.0, optimiser="sgd", epochs=60), corpus, range(3), seed=0)
    with pytest.raises(ValueError, match="settings ask for oracle-epoch"):
        training.train(small("stcnn", selection="oracle-epoch"), corpus, [0], seed=0)
