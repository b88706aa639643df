"""Adversarial pictures of a corpus and of one's own photos: where they go, what changed, and what was skipped."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from austicker import stickers
from austicker.corpora import orl
from austicker.generate import parse_size
from austicker.store import Store, layout
from austicker.types import AustickerError


def read(path):
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert picture is not None, path
    return picture


def photo(person, number=1):
    large = cv2.resize(orl.photo(person, number), None, fx=3, fy=3, interpolation=cv2.INTER_LANCZOS4)
    return cv2.copyMakeBorder(large, 30, 30, 30, 30, cv2.BORDER_REPLICATE)


@pytest.fixture
def photos(tmp_path):
    """Two faces, one of them in a folder of its own, a text with the wrong name, and a picture of nothing."""
    folder = tmp_path / "photos"
    (folder / "holiday" / "beach").mkdir(parents=True)
    cv2.imwrite(str(folder / "me.png"), photo(5))
    cv2.imwrite(str(folder / "holiday" / "beach" / "you.png"), photo(6))
    (folder / "letter.png").write_text("Dear reader,")
    cv2.imwrite(str(folder / "wall.png"), np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8))
    (folder / "notes.txt").write_text("no picture")
    return folder


def pictures(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_photos_keep_their_paths_and_change_under_the_sticker_only(cli_here, photos, tmp_path):
    before = {name: (photos / name).read_bytes() for name in pictures(photos)}
    out = tmp_path / "out"
    answer = cli_here("generate", out, "--photos", photos, "--sticker", "sun", "--placement", "region/chin")
    assert answer.status == 0
    assert pictures(out) == ["sun/holiday/beach/you.png", "sun/me.png"]
    assert answer.out == f"2 pictures in {out}\n"
    assert sorted(answer.err.splitlines()) == [
        f"'{photos / 'letter.png'}' was skipped: it cannot be read as a picture.",
        f"'{photos / 'wall.png'}' was skipped: no face was found in it.",
    ]
    assert {name: (photos / name).read_bytes() for name in pictures(photos)} == before
    for name in ("me.png", "holiday/beach/you.png"):
        clean, attacked = read(photos / name), read(out / "sun" / name)
        assert attacked.shape == clean.shape
        changed = (clean != attacked).any(axis=2)
        rows, columns = np.nonzero(changed)
        height, width = changed.shape
        assert 0.55 * height < rows.mean() < 0.95 * height  # the chin
        assert 0.3 * width < columns.mean() < 0.7 * width
        # A fifth of the face's width, and the face is narrower than its photo.
        assert np.ptp(rows) < 0.2 * width
        assert np.ptp(columns) < 0.2 * width
        assert changed.sum() > 300


def test_the_centre_needs_no_face(cli_here, photos, tmp_path):
    answer = cli_here("generate", tmp_path / "out", "--photos", photos, "--side", "0.3")
    assert answer.status == 0
    assert pictures(tmp_path / "out") == ["monkey/holiday/beach/you.png", "monkey/me.png", "monkey/wall.png"]
    assert "letter.png" in answer.err
    assert "wall.png" not in answer.err
    clean, attacked = read(photos / "wall.png"), read(tmp_path / "out" / "monkey" / "wall.png")
    rows, columns = np.nonzero((clean != attacked).any(axis=2))
    assert rows.min() >= 70
    assert rows.max() < 130
    assert columns.min() >= 70
    assert columns.max() < 130
    # Eq. 2 on the sticker itself: what is opaque is the sticker, what is transparent is the wall.
    shown = stickers.resized(stickers.load("monkey"), 60, 60)
    colour, alpha = shown[:3].transpose(1, 2, 0), shown[3][..., None]
    expected = (1 - alpha) * clean[70:130, 70:130, ::-1] + alpha * colour
    assert attacked[70:130, 70:130, ::-1].astype(float) == pytest.approx(expected, abs=0.51)


def test_a_sticker_is_turned_clockwise_and_lets_the_picture_through(cli_here, photos, tmp_path):
    options = ("--photos", photos, "--side", "0.3", "--rotation", "90", "--opacity", "0.5")
    assert cli_here("generate", tmp_path / "out", *options).status == 0
    clean, attacked = read(photos / "wall.png"), read(tmp_path / "out" / "monkey" / "wall.png")
    shown = np.rot90(stickers.resized(stickers.load("monkey"), 60, 60), -1, axes=(1, 2))
    colour, alpha = shown[:3].transpose(1, 2, 0), shown[3][..., None] / 2
    expected = clean[:, :, ::-1].astype(float)
    expected[70:130, 70:130] = (1 - alpha) * expected[70:130, 70:130] + alpha * colour
    assert attacked[:, :, ::-1].astype(float) == pytest.approx(expected, abs=0.51)


def test_a_sticker_bends_over_a_face_and_over_nothing_else(cli_here, photos, tmp_path):
    widths = {}
    for placement in ("left-cheek", "centre"):
        for bend in ((), ("--bend",)):
            out = tmp_path / placement / ("bent" if bend else "flat")
            answer = cli_here("generate", out, "--photos", photos, "--placement", placement, *bend)
            assert answer.status == 0
            changed = (read(out / "monkey" / "me.png") != read(photos / "me.png")).any(axis=2)
            widths[out.parent.name, out.name] = np.ptp(np.nonzero(changed)[1])
            assert (out / "monkey" / "wall.png").exists() == (placement == "centre" and not bend)
    wall = f"'{photos / 'wall.png'}' was skipped: no face was found in it, over which the sticker could bend."
    assert wall in answer.err.splitlines()
    assert widths["left-cheek", "bent"] < 0.9 * widths["left-cheek", "flat"]
    assert 0.85 * widths["centre", "flat"] < widths["centre", "bent"] <= widths["centre", "flat"]


def test_size_is_that_of_every_picture(cli_here, photos, tmp_path):
    answer = cli_here("generate", tmp_path / "out", "--photos", photos, "--size", "64x48")
    assert answer.status == 0
    assert {read(tmp_path / "out" / name).shape for name in pictures(tmp_path / "out")} == {(48, 64, 3)}


def test_photos_of_one_name_do_not_overwrite_each_other(cli_here, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.zeros((50, 50, 3), np.uint8))
    cv2.imwrite(str(folder / "a.jpg"), np.full((50, 50, 3), 255, np.uint8))
    answer = cli_here("generate", tmp_path / "out", "--photos", folder, "--sticker", "sun")
    assert answer.status == 0
    assert answer.out.startswith("2 pictures")
    made = [read(path) for path in (tmp_path / "out").rglob("*.png")]
    assert sorted(int(picture[0, 0, 0]) for picture in made) == [0, 255]


def test_no_usable_photo_is_told_by_the_status(cli_here, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "letter.png").write_text("Dear reader,")
    (folder / "empty.jpg").write_bytes(b"")
    # A header that promises 10 gigapixels.
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (folder / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    answer = cli_here("generate", tmp_path / "out", "--photos", folder)
    assert answer.status == 1
    assert answer.out == f"0 pictures in {tmp_path / 'out'}\n"
    for name in ("letter.png", "empty.jpg", "bomb.png"):
        assert f"'{folder / name}' was skipped: it cannot be read as a picture." in answer.err
    assert "Traceback" not in answer.err
    assert not (tmp_path / "out").exists()


def test_nothing_is_said_by_a_library(cli_apart, photos, tmp_path):
    answer = cli_apart("generate", tmp_path / "out", "--photos", photos, "--placement", "region/glabella")
    assert answer.status == 0
    assert len(answer.err.splitlines()) == 2, answer.err
    assert all("was skipped" in line for line in answer.err.splitlines())
    assert len(answer.out.splitlines()) == 1


def test_a_subject_of_the_corpus_with_two_stickers(cli_here, orl_motion, tmp_path):
    out = tmp_path / "out"
    options = ("--sticker", "sun", "--sticker", "heart", "--subject", "s02", "--placement", "region/glabella")
    answer = cli_here("generate", out, *options)
    assert (answer.status, answer.err) == (0, "")
    assert answer.out == f"{2 * 6 * 18} pictures in {out}\n"
    clips = [number for number, clip in enumerate(orl_motion.clips) if clip.subject == "s02"]
    names = [orl_motion.clips[number].clip for number in clips]
    assert pictures(out) == sorted(
        f"{sticker}/{name}/{frame:03d}.png" for sticker in ("sun", "heart") for name in names for frame in range(18)
    )
    clean = orl_motion.frames[clips[0]][5].repeat(3, axis=2)
    areas = []
    for sticker in ("sun", "heart"):
        attacked = read(out / sticker / names[0] / "005.png")[:, :, ::-1]
        changed = (attacked != clean).any(axis=2)
        rows, columns = np.nonzero(changed)
        assert np.ptp(rows) < 26  # a fifth of 128
        assert np.ptp(columns) < 22  # a fifth of 112
        areas.append((rows.mean() / 128, columns.mean() / 112))
        assert attacked[changed].std(axis=1).max() > 20  # in colour
    assert areas[0] == pytest.approx(areas[1], abs=0.03)


def test_a_corpus_sticker_bends_over_the_cheek(cli_here, orl_motion, tmp_path):
    options = ("--sticker", "sun", "--subject", "s02", "--placement", "right-cheek")
    for name, bend in (("flat", ()), ("bent", ("--bend",))):
        assert cli_here("generate", tmp_path / name, *options, *bend).status == 0
    assert pictures(tmp_path / "flat") == pictures(tmp_path / "bent")
    position = next(number for number, clip in enumerate(orl_motion.clips) if clip.subject == "s02")
    first = f"sun/{orl_motion.clips[position].clip}/000.png"
    clean = orl_motion.frames[position][0].repeat(3, axis=2)
    changed = [(read(tmp_path / name / first)[:, :, ::-1] != clean).any(axis=2) for name in ("flat", "bent")]
    flat, bent = (np.ptp(np.nonzero(mask)[1]) for mask in changed)
    assert 0.5 * flat < bent < 0.9 * flat


def test_a_causal_place_is_that_of_the_subjects_own_fold(cli_here, orl_motion, store_of_two_folds, tmp_path):
    from austicker.submission import graphs

    found = graphs(store_of_two_folds, "orl-motion")
    subject = sorted(found)[0]
    for name, folder in (("causal", "a"), (f"region/{found[subject].winner}", "b")):
        options = ("--placement", name, "--store", store_of_two_folds, "--subject", subject)
        assert cli_here("generate", tmp_path / folder, *options).status == 0
    assert pictures(tmp_path / "a") == pictures(tmp_path / "b")
    assert len(pictures(tmp_path / "a")) == 6 * 18
    for name in pictures(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.fixture
def store_of_two_folds(orl_motion, tmp_path):
    """A store with the graphs of two people's folds, whose winners differ."""
    store = Store(tmp_path / "store")
    job = {"name": "x", "description": "", "protocol": "loso", "corpora": [{"name": "orl-motion"}], "models": []}
    job |= {"discovery": {}, "attacks": [], "seeds": [0], "only": {}}
    places = {"s01": "lips", "s21": "eye-left"}
    for subject, winner in places.items():
        graph = {"regions": ["lips", "eye-left"], "directed": [], "undirected": [], "bidirected": []}
        store.write_sealed(layout.graph(subject), graph | {"dropped": [], "tied": [], "winner": winner})
    record = {"job": job, "inputs": {}, "cells": [], "corpora": {}, "weights": [], "provenance": {}}
    record |= {"choices": [], "skipped": []}
    store.write_json(layout.JOB, record | {"graphs": [["orl-motion", name, name] for name in places]})
    return store


def test_people_without_a_graph_are_refused_before_anything_is_written(cli_here, store_of_two_folds, tmp_path):
    answer = cli_here("generate", tmp_path / "out", "--placement", "causal", "--store", store_of_two_folds)
    assert answer.status == 2
    assert answer.err.startswith("Error: ")
    assert "causal graph" in answer.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--size", "64"), "WIDTHxHEIGHT"),
        (("--size", "0x10"), "WIDTHxHEIGHT"),
        (("--size", "-1x10"), "WIDTHxHEIGHT"),
        (("--size", "99999x10"), "WIDTHxHEIGHT"),
        (("--side", "0"), "side"),
        (("--side", "1.5"), "side"),
        (("--side", "nan"), "side"),
        (("--rotation", "nan"), "rotation nan"),
        (("--opacity", "1.5"), "opacity 1.5"),
        (("--placement", "nose"), "Unknown placement 'nose'"),
        (("--placement", "region/*"), "several"),
        (("--placement", "causal"), "causal graph"),
        (("--sticker", "monky"), "did you mean 'monkey'"),
        (("--sticker", "sun", "--sticker", "sun"), "share a folder"),
        (("--subject", "s99"), "Unknown subject 's99'"),
        (("--corpus", "casme2"), "needs the folder"),
        (("--corpus", "nowhere"), "Unknown corpus"),
        (("--photos", "/nowhere"), "There is no folder"),
        (("--photos", "/nowhere", "--corpus", "orl-motion"), "not both"),
        (("--photos", "/nowhere", "--subject", "s01"), "--subject"),
        (("--store", "/nowhere"), "no job"),
    ],
)
def test_bad_wishes_are_refused_in_one_sentence(cli_here, orl_motion, tmp_path, options, word):
    answer = cli_here("generate", tmp_path / "out", *options)
    assert answer.status == 2
    assert answer.out == ""
    assert answer.err.startswith("Error: ")
    assert answer.err.count("\n") == 1
    assert word in answer.err
    assert not (tmp_path / "out").exists()


def test_sizes_are_read():
    assert parse_size("256x128") == (256, 128)
    assert parse_size("10X20") == (10, 20)
    for text in ("", "x", "10", "10x", "x10", "10x20x30", "1.5x2", "²x3"):
        with pytest.raises(AustickerError):
            parse_size(text)
