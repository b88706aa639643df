"""Protocols: the published counts from made annotations, and every study that must not be run is refused."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from austicker import protocols
from austicker.types import AustickerError, Clip, Corpus

# What the annotation tables hold: emotion -> clips.
CASME2 = {"happiness": 32, "disgust": 63, "repression": 27, "surprise": 28, "others": 99, "sadness": 4, "fear": 2}
CASME2_2014 = CASME2 | {"surprise": 25, "sadness": 7}
SAMM = {
    "anger": 57,
    "contempt": 12,
    "disgust": 9,
    "fear": 8,
    "happiness": 26,
    "other": 26,
    "sadness": 6,
    "surprise": 15,
}
SMIC_HS = {"negative": 70, "positive": 51, "surprise": 43}
SMIC_E_HS = {"negative": 66, "positive": 51, "surprise": 40}
CKPLUS = {"neutral": 0, "anger": 3, "contempt": 2, "disgust": 3, "fear": 2, "happy": 3, "sadness": 2, "surprise": 3}
FER2013 = {
    "angry": 4953, "disgust": 547, "fear": 5121, "happy": 8989, "sad": 6077, "surprise": 4002, "neutral": 6198,
}  # fmt: skip
AFFECTNET = {
    "neutral": 20, "happy": 20, "sad": 20, "surprise": 20, "fear": 20, "disgust": 20, "anger": 20, "contempt": 20,
}  # fmt: skip


def made(name: str, sizes: Mapping[str, int], people: int = 5, frames: int = 2, **changes: object) -> Corpus:
    """Returns clips of black one-pixel frames with these numbers of each emotion, the people in turn."""
    emotions = [number for number, size in enumerate(sizes.values()) for _ in range(size)]
    clips = tuple(
        Clip(corpus=name, clip=f"clip{i}", subject=f"{i % people:02d}", label=label, onset=0, apex=1, offset=frames - 1)
        for i, label in enumerate(emotions)
    )
    values = {
        "name": name,
        "labels": tuple(sizes),
        "clips": clips,
        "fingerprint": name,
        "digests": tuple(tuple(f"{clip.clip}{name}{i}" for i in range(frames)) for clip in clips),
        "frames": [np.zeros((frames, 1, 1, 1), np.uint8)] * len(clips),
        "landmarks": [np.zeros((frames, 68, 2), np.float32)] * len(clips),
        "motion": np.zeros((len(clips), 14), np.float32),
    }
    return Corpus(**{**values, **changes})


def named(corpus: Corpus, names: Mapping[int, str]) -> Corpus:
    """Returns the corpus with some of its clips called otherwise."""
    clips = (replace(clip, clip=names.get(i, clip.clip)) for i, clip in enumerate(corpus.clips))
    return replace(corpus, clips=tuple(clips))


def split(corpus: Corpus, *sizes: tuple[str, int]) -> Corpus:
    """Returns the corpus with its clips in these parts, in their order."""
    parts = [part for part, size in sizes for _ in range(size)]
    clips = tuple(replace(clip, split=part) for clip, part in zip(corpus.clips, parts, strict=True))
    return replace(corpus, clips=clips)


def run(protocol: str, corpus: Corpus) -> protocols.Study:
    return protocols.study(protocol, corpus.name, {corpus.name: corpus})


def sizes_of(study: protocols.Study) -> dict[str, int]:
    found = Counter(clip.label for clip in study.corpus.clips)
    return {label: found[number] for number, label in enumerate(study.corpus.labels)}


@pytest.mark.parametrize(
    ("protocol", "corpus", "total", "classes"),
    [
        ("au-sticker", made("casme2", CASME2), 156, {"negative": 96, "positive": 32, "surprise": 28}),
        ("au-sticker", made("casme2", CASME2_2014), 156, {"negative": 99, "positive": 32, "surprise": 25}),
        ("au-sticker", made("samm", SAMM), 133, {"negative": 92, "positive": 26, "surprise": 15}),
        ("au-sticker", made("smic-e-hs", SMIC_E_HS), 157, SMIC_E_HS),
        ("au-sticker", made("smic-hs", SMIC_HS), 164, SMIC_HS),
        (
            "mmnet-5class",
            made("casme2", CASME2),
            249,
            {"happiness": 32, "repression": 27, "disgust": 63, "surprise": 28, "others": 99},
        ),
        (
            "mmnet-5class",
            made("casme2", CASME2_2014),
            246,
            {"happiness": 32, "repression": 27, "disgust": 63, "surprise": 25, "others": 99},
        ),
        (
            "mmnet-5class",
            made("samm", SAMM),
            136,
            {"anger": 57, "happiness": 26, "surprise": 15, "contempt": 12, "other": 26},
        ),
        ("loso", made("casme2", CASME2), 255, CASME2),
        ("loso", made("casme2", CASME2_2014), 255, CASME2_2014),
        ("all-labels", made("samm", SAMM), 159, SAMM),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "name", None),
)
def test_the_papers_counts_follow_from_the_annotations(protocol, corpus, total, classes):
    study = run(protocol, corpus)
    assert len(study.corpus.clips) == total
    assert sizes_of(study) == classes
    compared = [count for count in study.counts if count.published is not None and count.what != "subjects"]
    assert {count.what: count.published for count in compared} == {"clips": total, **classes}
    assert all(count.found == count.published for count in compared)
    assert len(study.folds) == 5
    assert study.left_out == ()


def megc(casme2: Corpus) -> dict[str, Corpus]:
    return {
        "smic-hs": made("smic-hs", SMIC_HS, people=16),
        "casme2": casme2,
        "samm": made("samm", SAMM, people=28),
    }


CHALLENGE = named(
    made("casme2", CASME2_2014, people=24),
    # Two of the three clips that the challenge leaves out are disgust here, the third is sadness.
    {32: "sub04/EP12_01f", 33: "sub05/EP12_03f", 32 + 63 + 27 + 25 + 99: "sub24/EP02_07"},
)


def test_the_challenges_composite_is_442_clips_of_68_people():
    opened = megc(CHALLENGE)
    assert protocols.study_names("megc2019", list(opened)) == {"megc2019": ("casme2", "samm", "smic-hs")}
    study = protocols.study("megc2019", "megc2019", opened)
    whole = study.corpus
    assert (whole.name, len(whole.clips), len(study.folds)) == ("megc2019", 442, 68)
    assert Counter(clip.corpus for clip in whole.clips) == {"casme2": 145, "samm": 133, "smic-hs": 164}
    assert not {"casme2/sub04/EP12_01f", "casme2/sub05/EP12_03f"} & {clip.clip for clip in whole.clips}
    assert sizes_of(study) == {"negative": 250, "positive": 109, "surprise": 83}
    assert [count for count in study.counts if count.found != count.published] == []
    assert protocols.in_words(study.counts) == [
        "casme2: 145 clips as published (negative 88, positive 32, surprise 25), 24 subjects as published; "
        "class sizes unverified",
        "samm: 133 clips as published (negative 92, positive 26, surprise 15), 28 subjects as published",
        "smic-hs: 164 clips as published (negative 70, positive 51, surprise 43), 16 subjects as published; "
        "class sizes unverified",
        "megc2019: 442 clips as published (negative 250, positive 109, surprise 83), 68 subjects as published",
    ]


def test_the_order_of_the_job_does_not_change_a_composite():
    opened = megc(CHALLENGE)
    again = dict(reversed(opened.items()))
    first, second = (protocols.study("megc2019", "megc2019", some) for some in (opened, again))
    assert first.corpus == second.corpus
    assert first.folds == second.folds


def test_a_composite_lacks_no_part():
    with pytest.raises(AustickerError, match=r"in job.toml joins casme2, samm, smic-hs: add casme2, smic-hs\."):
        protocols.check("megc2019", ["samm"], "job.toml")
    with pytest.raises(AustickerError, match="add samm"):
        protocols.study_names("megc2019", ["casme2", "smic-hs"])


def test_other_protocols_make_each_corpus_its_own_study():
    assert protocols.study_names("loso", ["b", "a"]) == {"b": ("b",), "a": ("a",)}


@pytest.mark.parametrize(
    ("name", "corpora", "message"),
    [
        ("au-stiker", ["samm"], r"^Unknown protocol 'au-stiker' in job.toml \(did you mean 'au-sticker'\?\)\.$"),
        ("?", ["samm"], "known: loso, au-sticker, megc2019"),
        ("au-sticker", ["samm", "ckplus"], "has no rules for ckplus: use it on casme2, samm, smic-e-hs, smic-hs, or"),
        ("shehu-frame-level", ["fer2013"], "has no rules for fer2013: use it on ckplus, orl-expressions, or"),
        ("affectnet-7", ["fer2013"], "has no rules for fer2013: use it on affectnet, or"),
        ("megc2019", ["casme2", "samm", "smic-hs", "smic-e-hs"], "has no rules for smic-e-hs"),
    ],
)
def test_what_a_protocol_does_not_know_is_refused(name, corpora, message):
    with pytest.raises(AustickerError, match=message):
        protocols.check(name, corpora, "job.toml")


def test_any_corpus_has_a_leave_one_out_and_an_official_division():
    for name in ("loso", "all-labels", "official", "official-test"):
        protocols.check(name, ["orl-motion", "my-manifest"], "job.toml")
    assert protocols.canonical_name("all-labels") == "loso"
    assert protocols.canonical_name("megc2019") == "megc2019"
    assert "all-labels" not in protocols.names()


def test_a_corpus_that_takes_part_whole_is_not_wrapped():
    corpus = made("orl-motion", SMIC_HS)
    assert run("loso", corpus).corpus is corpus
    assert run("au-sticker", made("smic-hs", SMIC_HS)).corpus.labels == ("negative", "positive", "surprise")


def test_classes_are_mapped_even_where_there_are_as_many_as_labels():
    study = run("au-sticker", made("casme2", {"disgust": 4, "happiness": 3, "surprise": 2}))
    assert study.corpus.labels == ("negative", "positive", "surprise")
    assert sizes_of(study) == {"negative": 4, "positive": 3, "surprise": 2}


def test_a_label_without_clips_is_no_class_of_all_labels():
    study = run("loso", made("ckplus", CKPLUS))
    assert study.corpus.labels == tuple(label for label in CKPLUS if label != "neutral")
    assert sizes_of(study) == {label: size for label, size in CKPLUS.items() if size}


def test_emotions_are_compared_without_case_and_blanks():
    study = run("mmnet-5class", made("samm", {f" {emotion.title()} ": size for emotion, size in SAMM.items()}))
    assert sizes_of(study) == {"anger": 57, "happiness": 26, "surprise": 15, "contempt": 12, "other": 26}
    others = made("samm", {"Others" if emotion == "other" else emotion: size for emotion, size in SAMM.items()})
    assert sizes_of(run("mmnet-5class", others))["other"] == 26


def test_a_class_without_clips_and_a_single_class_are_refused():
    with pytest.raises(AustickerError, match="Study 'samm' of protocol 'au-sticker' has no clip of class surprise"):
        run("au-sticker", made("samm", SAMM | {"surprise": 0}))
    with pytest.raises(AustickerError, match="has only class happy and needs two"):
        run("loso", made("mine", {"happy": 9}))
    with pytest.raises(AustickerError, match="Corpus 'samm' has no clip for protocol 'megc2019'"):
        protocols.study("megc2019", "megc2019", megc(CHALLENGE) | {"samm": made("samm", {"other": 5})})


@pytest.mark.parametrize("name", ["loso", "shehu-subject-disjoint"])
def test_nobody_can_be_left_out_where_nobody_is_known(name):
    corpus = "ckplus" if name.startswith("shehu") else "fer2013"
    with pytest.raises(AustickerError, match=f"'{corpus}' does not say who is who, so protocol '{name}' cannot"):
        run(name, made(corpus, CKPLUS, lacks_subjects=True))


FER = made("fer2013", FER2013, people=35887, lacks_subjects=True)
FER_CSV = split(FER, ("train", 28709), ("validation", 3589), ("test", 3589))
FER_FOLDERS = split(FER, ("train", 28709), ("test", 7178))


@pytest.mark.parametrize("corpus", [FER_CSV, FER_FOLDERS], ids=["csv", "folders"])
def test_fer2013s_official_test_part_is_the_papers_7178_pictures(corpus):
    study = run("official", corpus)
    assert [len(study.folds[0].train), len(study.folds[0].test)] == [28709, 7178]
    assert all(count.found == count.published for count in study.counts)
    assert protocols.in_words(study.counts) == [
        "fer2013: 35,887 clips as published (angry 4,953, disgust 547, fear 5,121, happy 8,989, sad 6,077, "
        "surprise 4,002, neutral 6,198), 28,709 training clips as published, 7,178 test clips as published"
    ]


def test_fer2013s_private_test_needs_the_csv_file():
    assert len(run("official-test", FER_CSV).folds[0].test) == 3589
    with pytest.raises(AustickerError, match="has only 'test' and 'train': use protocol 'official'"):
        run("official-test", FER_FOLDERS)


def test_the_official_division_drops_repeated_pictures_from_training_and_names_them():
    corpus = split(made("fer2013", {"a": 6, "b": 6}, lacks_subjects=True), ("train", 8), ("test", 4))
    digests = list(corpus.digests)
    digests[1] = digests[5] = digests[10]
    study = run("official", replace(corpus, digests=tuple(digests)))
    assert study.left_out == ("clip1", "clip5")
    assert study.folds[0].train == (0, 2, 3, 4, 6, 7)
    assert {count.what: count.found for count in study.counts}["training"] == 8


def test_other_divisions_refuse_repeated_pictures():
    corpus = made("mine", {"a": 6, "b": 6})
    digests = list(corpus.digests)
    digests[1] = digests[5]
    with pytest.raises(AustickerError, match=r"same pictures in training \('clip1'\) and in test \('clip5'\)"):
        run("loso", replace(corpus, digests=tuple(digests)))


def test_the_official_division_refuses_people_on_both_sides():
    corpus = split(made("mine", {"a": 6, "b": 6}), ("train", 8), ("test", 4))
    with pytest.raises(AustickerError, match="Fold 'official' of 'mine' has the same people in training"):
        run("official", corpus)


def test_affectnet_without_contempt_tests_on_500_of_each():
    parts = [("train", 15), ("validation", 5)] * 8
    corpus = split(made("affectnet", AFFECTNET, lacks_subjects=True), *parts)
    study = run("affectnet-7", corpus)
    assert study.corpus.labels == tuple(AFFECTNET)[:7]
    assert (len(study.folds[0].train), len(study.folds[0].test)) == (105, 35)
    assert protocols.in_words(study.counts) == [
        "affectnet: 140 clips (neutral 20, happy 20, sad 20, surprise 20, fear 20, disgust 20, anger 20), "
        "105 training clips, 35 test clips, 3,500 published (neutral 5 of 500, happy 5 of 500, sad 5 of 500, "
        "surprise 5 of 500, fear 5 of 500, disgust 5 of 500, anger 5 of 500); unverified"
    ]


def sequences(frames: int, each: int = 12) -> Corpus:
    """Returns CK+ sequences of unlike pictures: `each` of every emotion, none neutral."""
    sizes = {label: each if label != "neutral" else 0 for label in CKPLUS}
    total = sum(sizes.values())
    pixels = np.arange(total * frames, dtype=np.uint32).view(np.uint8).reshape(total, frames, 2, 2, 1)
    return replace(made("ckplus", sizes, people=15, frames=frames), frames=list(pixels))


@pytest.mark.parametrize(("frames", "late", "early"), [(11, 5, 2), (10, 5, 2), (4, 2, 2), (3, 1, 2), (2, 1, 1)])
def test_shehus_frames_are_the_last_half_and_two_neutral_ones(frames, late, early):
    corpus = sequences(frames)
    study = run("shehu-subject-disjoint", corpus)
    assert study.corpus.labels == ("anger", "disgust", "fear", "happy", "neutral", "sadness", "surprise")
    emotions = 6 * 12
    assert sizes_of(study) == {
        label: 12 * late if label != "neutral" else emotions * early for label in study.corpus.labels
    }
    own = {clip.clip: study.corpus.labels[clip.label] for clip in study.corpus.clips if clip.clip.startswith("clip0#")}
    shown = {f"clip0#{number + 1:04d}": "anger" for number in range(frames - late, frames)}
    assert own == shown | {f"clip0#{number + 1:04d}": "neutral" for number in range(early)}
    for clip, picture in zip(study.corpus.clips, study.corpus.frames, strict=True):
        name, _, number = clip.clip.partition("#")
        np.testing.assert_array_equal(picture[0], corpus.frames[int(name.removeprefix("clip"))][int(number) - 1])
    assert len(study.folds) == 10
    assert {count.what: count.published for count in study.counts}["clips"] == 3368


def test_shehus_test_has_fifty_of_each_class_whoever_shows_them():
    study = run("shehu-frame-level", sequences(11))
    (fold,) = study.folds
    clips = study.corpus.clips
    assert Counter(clips[i].label for i in fold.test) == dict.fromkeys(range(7), 50)
    assert {clips[i].subject for i in fold.train} & {clips[i].subject for i in fold.test}
    assert {count.what: (count.found, count.published) for count in study.counts}["test"] == (350, 350)
    assert run("shehu-frame-level", sequences(11)).folds == study.folds


def stand_in() -> Corpus:
    """Returns 15 people's sequences under the stand-in's name, neutral ones among them."""
    whole = replace(sequences(8, each=16), name="orl-expressions")
    clips = tuple(replace(clip, label=0) if i % 7 == 6 else clip for i, clip in enumerate(whole.clips))
    return replace(whole, clips=clips)


def test_the_stand_in_gives_shehus_frames_and_leaves_neutral_sequences_and_contempt_out():
    corpus = stand_in()
    study = run("shehu-subject-disjoint", corpus)
    taken = {clip.clip.partition("#")[0] for clip in study.corpus.clips}
    fit = {clip.clip for clip in corpus.clips if corpus.labels[clip.label] not in ("neutral", "contempt")}
    assert taken == fit
    assert len(study.corpus.clips) == 6 * len(fit)
    assert sizes_of(study)["neutral"] == 2 * len(fit)
    assert all(count.published is None for count in study.counts)


@pytest.mark.parametrize("corpus", [sequences(11), stand_in()], ids=["ckplus", "orl-expressions"])
def test_shehus_two_divisions_stand_side_by_side(corpus):
    both = run("shehu", corpus)
    apart = {name: run(name, corpus) for name in ("shehu-frame-level", "shehu-subject-disjoint")}
    assert protocols.study_names("shehu", [corpus.name]) == {corpus.name: (corpus.name,)}
    assert [fold.protocol for fold in both.folds] == ["shehu-frame-level", *["shehu-subject-disjoint"] * 10]
    assert [replace(fold, protocol="") for fold in both.folds] == [fold for one in apart.values() for fold in one.folds]
    assert len({fold.name for fold in both.folds}) == 11
    assert all(both.corpus.clips == one.corpus.clips for one in apart.values())
    lines = protocols.in_words(both.counts)
    assert [line.partition(":")[0] for line in lines] == [f"{corpus.name}, {name}" for name in apart]
    assert "350 test clips" in lines[0]
    people = [[{both.corpus.clips[i].subject for i in side} for side in (fold.train, fold.test)] for fold in both.folds]
    assert [bool(train & test) for train, test in people] == [True] + [False] * 10


def test_each_division_side_by_side_keeps_its_own_rule_for_repeated_pictures():
    corpus = sequences(11)
    first, second = (0, 1)  # two people's anger
    assert run("shehu", corpus).left_out == ()
    digests = list(corpus.digests)
    digests[second] = digests[first]
    repeated = replace(corpus, digests=tuple(digests))
    assert run("shehu-frame-level", repeated).left_out
    with pytest.raises(AustickerError, match="Fold 'group-.*' of 'ckplus' has the same pictures in training"):
        run("shehu", repeated)


def test_divisions_that_take_other_clips_or_name_folds_alike_do_not_stand_side_by_side():
    chosen = protocols.protocol("shehu")
    disjoint = run("shehu-subject-disjoint", sequences(11))
    with pytest.raises(AustickerError, match="'shehu' cannot put 'shehu-subject-disjoint' beside 'shehu-frame-level'"):
        protocols._beside([run("shehu-frame-level", sequences(10)), disjoint], chosen)
    with pytest.raises(AustickerError, match="name their folds alike"):
        protocols._beside([disjoint, disjoint], chosen)


def test_limits_hold_in_every_fold_and_change_no_count():
    corpus = sequences(11)
    whole = run("shehu", corpus)
    limits = protocols.Limits(train_per_class=20, test_per_class=3)
    study = protocols.study("shehu", corpus.name, {corpus.name: corpus}, limits)
    assert study.counts == whole.counts
    for fold, full in zip(study.folds, whole.folds, strict=True):
        assert fold.name == full.name
        for side, most in (("train", 20), ("test", 3)):
            kept, all_of_it = getattr(fold, side), getattr(full, side)
            assert set(kept) <= set(all_of_it)
            sizes = Counter(study.corpus.clips[i].label for i in all_of_it)
            found = Counter(study.corpus.clips[i].label for i in kept)
            assert found == {label: min(most, size) for label, size in sizes.items()}


def test_shehus_frames_need_enough_data():
    with pytest.raises(AustickerError, match=r"50 clips of each class needs more .* 'clip\d+#0006' has 10"):
        run("shehu-frame-level", sequences(10, each=2))
    without = sequences(10)
    without = replace(without, labels=tuple(label.replace("neutral", "calm") for label in without.labels))
    with pytest.raises(AustickerError, match="has no label 'neutral'"):
        run("shehu-frame-level", without)


def test_counts_that_differ_say_what_is_published():
    corpus = made("samm", SAMM | {"anger": 55}, people=28)
    assert protocols.in_words(run("au-sticker", corpus).counts) == [
        "samm: 131 clips, 133 published (negative 90 of 92, positive 26, surprise 15), 28 subjects as published"
    ]
    assert protocols.in_words(run("loso", made("mine", {"a": 2, "b": 8})).counts) == [
        "mine: 10 clips (a 2, b 8), 5 subjects"
    ]


@pytest.mark.parametrize(("sizes", "note"), [(CASME2, "coding of 2019-07-01"), (CASME2_2014, "coding of 2014-05-08")])
def test_the_nearest_published_variant_is_compared(sizes, note):
    assert {count.note for count in run("au-sticker", made("casme2", sizes)).counts} == {note}


def test_a_survey_counts_by_every_protocol_that_knows_the_corpus():
    found = protocols.survey(made("casme2", CASME2, people=25))
    assert list(found) == ["loso", "au-sticker", "megc2019", "mmnet-5class"]
    assert found["au-sticker"].startswith("casme2: 156 clips as published (negative 96, ")
    assert found["megc2019"].startswith("casme2: 150 clips, 145 published (negative 90 of 88, ")


def test_a_survey_counts_a_division_of_its_own_only_where_the_corpus_has_one():
    whole = made("mine", {"a": 6, "b": 6}, people=12)
    assert list(protocols.survey(whole)) == ["loso"]
    found = protocols.survey(split(whole, ("train", 8), ("test", 4)))
    assert list(found) == ["loso", "official", "official-test"]
    assert found["official"] == "mine: 12 clips (a 6, b 6), 12 subjects, 8 training clips, 4 test clips"
    partly = protocols.survey(split(whole, ("train", 4), ("", 5), ("test", 3)))
    assert "does not place 'clip4', 'clip5', 'clip6' and 2 more" in partly["official"]


def test_every_protocol_is_whole():
    table = tomllib.loads(files("austicker").joinpath("data", "protocols.toml").read_text(encoding="utf-8"))
    for name, written in table.items():
        protocol = protocols.protocol(name)
        assert protocol.summary.endswith(".")
        assert set(written) <= {field for field in protocol.__slots__} | {"classes", "duplicates"}
        if protocol.beside:
            assert set(written) == {"summary", "beside"}
            assert set(protocol.beside) <= set(table)
            assert protocol.corpora
            continue
        assert protocol.any_corpus or protocol.corpora
        for corpus, rules in protocol.corpora.items():
            assert set(written["corpora"][corpus]) <= {"emotions", "left_out", "published"}
            assert set(rules.class_of.values()) == set(rules.classes)
            for variant in rules.published:
                numbers = {what: number for (kind, what), number in variant.numbers.items() if kind == "class"}
                assert not rules.classes or not numbers or set(numbers) == set(rules.classes)
                assert not numbers or sum(numbers.values()) == variant.numbers["total", "clips"]
