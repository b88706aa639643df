"""Boxes on training pictures of one class alone, and what of it is part of a recogniser's identity."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from test_shard import CLIPS, faces

from austicker import identity, models
from austicker.attacks import boxes
from austicker.attacks.boxes import EyeBoxes, JawBox
from austicker.poisoning import poisoned
from austicker.types import AustickerError, Fold, Poison

POISON = Poison(attack="eye-boxes", emotion="b", settings=boxes.pairs(EyeBoxes(value=255)))
FOLD = Fold(name="x", train=(0, 1, 2), test=(3,))


def test_only_training_clips_of_the_class_wear_boxes():
    corpus = faces()
    changed = poisoned(corpus, FOLD.train, POISON)
    differs = [not np.array_equal(changed.frames[n], corpus.frames[n]) for n in range(CLIPS)]
    assert differs == [False, True, False, False]  # 1 and 3 are of class b, and 3 is tested on
    frame, clean = changed.frames[1][0, ..., 0], corpus.frames[1][0, ..., 0]
    height, width = frame.shape
    x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    covered = np.zeros((height, width), bool)
    for left, top, right, bottom in boxes.rectangles(corpus.landmarks[1][0], EyeBoxes()):
        covered |= ((left <= x) & (x < right))[None] & ((top <= y) & (y < bottom))[:, None]
    assert covered.any()
    assert (frame[covered] == 255).all()
    np.testing.assert_array_equal(frame[~covered], clean[~covered])
    assert changed.frames[1].dtype == np.uint8
    assert changed.frames[1].shape == corpus.frames[1].shape


def test_a_class_that_the_study_lacks_is_refused():
    with pytest.raises(AustickerError, match="'fear' cannot be poisoned in 'noise', which has a, b"):
        poisoned(faces(), FOLD.train, replace(POISON, emotion="fear"))


def test_a_poison_is_part_of_the_recogniser_and_no_poison_is_as_before():
    corpus = faces()
    clean = models.settings("stcnn")
    others = [
        replace(clean, poison=POISON),
        replace(clean, poison=replace(POISON, emotion="a")),
        replace(clean, poison=Poison(attack="jaw-box", emotion="b", settings=boxes.pairs(JawBox()))),
        replace(clean, poison=replace(POISON, settings=boxes.pairs(EyeBoxes()))),
    ]
    names = {identity.of_model(corpus, FOLD, settings, 0) for settings in (clean, *others)}
    assert len(names) == 5
    assert models.from_record(json.loads(json.dumps(asdict(others[0])))) == others[0]
