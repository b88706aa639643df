"""Plans: the grid of a job, and what a store still lacks of it."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from planted_corpus import attack, corpus, job, laid_out

from austicker import corpora, models, plan, results
from austicker.foreign import ForeignSettings
from austicker.job import CorpusChoice
from austicker.store import Store, layout
from austicker.types import AustickerError, Cell

FACES = corpus()  # three folds with 3, 2 and 2 test clips
TWO_MODELS = (models.settings("stcnn", width=0.25), models.settings("mmnet", width=0.25))
HERE = Path(__file__).parent


def grid(**changes: Any) -> plan.Plan:
    return laid_out(job(**changes), FACES)


def ids(found: plan.Plan | tuple[plan.Task, ...]) -> set[str]:
    shards = found.shards if isinstance(found, plan.Plan) else found
    return {cell.id for shard in shards for cell in shard.cells}


def finish(store: Store, task: plan.Task) -> None:
    """Leaves in the store what doing this task would."""
    if task.stage == "attack":
        results.write_part(store, task.corpus, [cell.id for cell in task.cells], [])
    elif task.stage == "discover":
        store.write_json(layout.graph(task.graph), {})
    else:
        store.write(layout.weights(task.weights), b"")


def stages(tasks: tuple[plan.Task, ...]) -> dict[str, int]:
    return {stage: sum(task.stage == stage for task in tasks) for stage in ("train", "discover", "attack")}


def test_the_grid_is_every_model_seed_sticker_and_placement_on_every_fold():
    found = grid(models=TWO_MODELS, seeds=(0, 1))
    assert len(found.shards) == 3 * 2 * 2
    assert len(found.cells) == 3 * 2 * 2 * 6
    assert found.rows == (3 + 2 + 2) * 2 * 2 * 6
    assert found.evaluations == found.rows + (3 + 2 + 2) * 2 * 2
    settings = {
        (cell.fold, cell.model, cell.seed, cell.sticker, cell.placement, cell.side, cell.attack)
        for shard in found.shards
        for cell in shard.cells
    }
    assert len(settings) == len(found.cells)
    assert len(found.graphs) == len(set(found.graphs.values())) == 3


def test_cells_say_what_their_shard_is():
    for shard in grid(models=TWO_MODELS).shards:
        for cell in shard.cells:
            assert (cell.fold, cell.model, cell.corpus) == (shard.fold.name, shard.settings.label, shard.corpus)


def test_attacks_of_one_setting_under_two_labels_are_different_cells():
    found = grid(attacks=(attack(label="one"), attack(label="two")))
    assert len(found.cells) == 3 * 12 == sum(len(shard.cells) for shard in found.shards)


def test_some_folds_still_train_on_everybody_else():
    found = grid(corpora=(CorpusChoice(name="orl-motion", folds=2),))
    assert [shard.fold.name for shard in found.shards] == ["ann", "bob"]
    assert all(len(shard.fold.train) + len(shard.fold.test) == len(FACES.clips) for shard in found.shards)
    assert found.cells < grid().cells
    with pytest.raises(AustickerError, match="use 1 to 3"):
        grid(corpora=(CorpusChoice(name="orl-motion", folds=4),))


def test_an_empty_store_lacks_everything_and_each_weight_and_graph_once(tmp_path):
    found = grid(models=TWO_MODELS)
    tasks = found.tasks(Store(tmp_path))
    assert stages(tasks) == {"train": 6, "discover": 3, "attack": 6}
    assert ids(tasks) == found.cells
    assert len({task.id for task in tasks}) == len(tasks)
    by_id = {task.id: task for task in tasks}
    for task in tasks:
        needed = [by_id[name] for name in task.needs]
        assert {need.stage for need in needed} == ({"train", "discover"} if task.stage == "attack" else set())
        assert all(need.weights in ("", task.weights) and need.graph in ("", task.graph) for need in needed)
        assert all((need.corpus, need.fold) == (task.corpus, task.fold) for need in needed)
        assert {need.model for need in needed if need.stage == "train"} <= {task.model}


def test_a_task_needs_only_tasks_that_stand_before_it(tmp_path):
    seen: set[str] = set()
    for task in grid(models=TWO_MODELS, seeds=(0, 1)).tasks(Store(tmp_path)):
        assert seen.issuperset(task.needs)
        seen.add(task.id)


@pytest.mark.parametrize(("rows", "cells"), [(6, [2, 2, 2, 3, 3, 3, 3]), (1, [1] * 18), (18, [6, 6, 6])])
def test_a_large_shard_is_several_tasks_that_need_what_their_cells_read(tmp_path, monkeypatch, rows, cells):
    """Folds of 3, 2 and 2 test clips with 6 cells each: a task is as large as it may be, and one cell at least."""
    monkeypatch.setattr(plan.record, "TASK_ROWS", rows)
    found = grid()
    tasks = found.tasks(Store(tmp_path))
    attacks = [task for task in tasks if task.stage == "attack"]
    assert [len(task.cells) for task in attacks] == cells
    assert [cell for task in attacks for cell in task.cells] == [cell for shard in found.shards for cell in shard.cells]
    assert stages(tasks) == {"train": 3, "discover": 3, "attack": len(cells)}
    for task in attacks:
        reads = any(cell.placement == "causal" for cell in task.cells)
        assert [need.partition("-")[0] for need in task.needs] == ["train", "discover"][: 1 + reads]
    for task in tasks:
        finish(Store(tmp_path), task)
    assert found.tasks(Store(tmp_path)) == ()


def test_a_task_is_the_same_at_a_worker_and_its_cells_are_sent_in_columns(tmp_path):
    tasks = grid(attacks=(attack(placements=tuple(f"random/{draw}" for draw in range(1, 101))),)).tasks(Store(tmp_path))
    assert {task.stage for task in tasks} == {"train", "attack"}
    assert pickle.loads(pickle.dumps(tasks)) == tasks
    one_by_one = {Cell.__qualname__.encode() in pickle.dumps(task.cells) for task in tasks if task.cells}
    assert one_by_one == {True}
    assert not any(b"Cell" in pickle.dumps(task) for task in tasks)


def test_what_exists_is_not_done_again(tmp_path):
    store, found = Store(tmp_path), grid(models=TWO_MODELS)
    first = found.tasks(store)
    for task in [task for task in first if task.stage == "discover"]:
        finish(store, task)
    assert stages(found.tasks(store)) == {"train": 6, "discover": 0, "attack": 6}
    trained = next(task for task in first if task.stage == "train")
    finish(store, trained)
    tasks = found.tasks(store)
    assert stages(tasks) == {"train": 5, "discover": 0, "attack": 6}
    assert [task.weights for task in tasks if task.stage == "attack" and not task.needs] == [trained.weights]


def test_weights_are_there_with_or_without_the_readable_copy_of_their_record(tmp_path):
    store, found = Store(tmp_path), grid()
    trained = next(task for task in found.tasks(store) if task.stage == "train")
    store.write_json(layout.training_record(trained.weights), {})
    assert trained in found.tasks(store)
    finish(store, trained)
    store.remove(layout.training_record(trained.weights))
    assert trained not in found.tasks(store)
    store.remove(layout.weights(trained.weights))
    assert trained in found.tasks(store)


def test_a_run_ends_with_nothing_to_do_in_whatever_order_it_went(tmp_path):
    found = grid(models=TWO_MODELS)
    for order in (1, -1):
        store = Store(tmp_path / str(order))
        for task in found.tasks(store)[::order]:
            finish(store, task)
        assert found.tasks(store) == ()
        assert plan.done(found, store) == found.cells


def test_after_some_parts_the_tasks_are_the_set_difference(tmp_path):
    store, found = Store(tmp_path), grid()
    attacks = [task for task in found.tasks(store) if task.stage == "attack"]
    finish(store, attacks[0])
    half = dataclasses.replace(attacks[1], cells=attacks[1].cells[::2])
    finish(store, half)
    tasks = found.tasks(store)
    done = {cell.id for task in (attacks[0], half) for cell in task.cells}
    assert ids(tasks) == found.cells - done
    assert plan.done(found, store) == done
    assert attacks[0].fold not in {task.fold for task in tasks}


def test_a_torn_part_is_done_again_under_its_own_name(tmp_path):
    store, found = Store(tmp_path), grid()
    tasks = found.tasks(store)
    for task in tasks:
        finish(store, task)
    part = sorted((tmp_path / "verdicts").rglob("*.parquet"))[0]
    part.write_bytes(part.read_bytes()[:-20])
    (again,) = found.tasks(store)
    assert again in [dataclasses.replace(task, needs=()) for task in tasks]
    finish(store, again)
    assert found.tasks(store) == ()
    assert len(store.keys(layout.VERDICTS)) == 3


def test_parts_of_another_job_are_not_counted(tmp_path):
    store, found = Store(tmp_path), grid()
    for task in grid(attacks=(attack(side=0.5, label="sticker"),)).tasks(store):
        finish(store, task)
    assert ids(found.tasks(store)) == found.cells
    assert plan.done(found, store) == frozenset()


@pytest.mark.parametrize(
    ("changes", "new"),
    [
        ({"attacks": (attack(stickers=("sun", "heart", "star")),)}, 9),
        ({"attacks": (attack(placements=("causal", "centre", "region/chin", "random/1")),)}, 6),
        ({"attacks": (attack(), attack(side=0.3, label="large"))}, 18),
        ({"models": TWO_MODELS}, 18),
        ({"seeds": (0, 1)}, 18),
    ],
)
def test_growing_a_job_keeps_the_old_cells_and_does_only_the_new(tmp_path, changes, new):
    store, old, grown = Store(tmp_path), grid(), grid(**changes)
    for task in old.tasks(store):
        finish(store, task)
    assert old.cells < grown.cells
    tasks = grown.tasks(store)
    assert ids(tasks) == grown.cells - old.cells
    assert len(ids(tasks)) == new
    assert stages(tasks)["discover"] == 0
    assert stages(tasks)["train"] == (3 if "models" in changes or "seeds" in changes else 0)


def test_other_settings_of_the_graph_do_again_only_what_reads_it(tmp_path):
    store, changed = Store(tmp_path), grid(discovery=plan_settings(alpha=0.1))
    for task in grid().tasks(store):
        finish(store, task)
    tasks = changed.tasks(store)
    assert {cell.placement for task in tasks for cell in task.cells} == {"causal"}
    assert stages(tasks) == {"train": 0, "discover": 3, "attack": 3}


def plan_settings(**changes: Any) -> Any:
    return dataclasses.replace(job().discovery, **changes)


# Who meets whom.

THEIRS = ForeignSettings(name="onnx", label="theirs", digest="d" * 64, labels=("a", "b"), access="label")
SEARCHES = (
    attack(),
    attack(name="random", label="anywhere", placements=("random",), budget=9),
    attack(name="rhde", label="evolved", placements=("rhde",), budget=50),
    attack(name="unified", label="shaped", placements=("unified",), stickers=(), budget=60),
)


def test_a_recogniser_meets_the_attacks_that_its_access_is_enough_for():
    scores = dataclasses.replace(THEIRS, label="open", access="scores")
    found = grid(models=(THEIRS, scores, *TWO_MODELS[:1]), attacks=SEARCHES)
    met = {(shard.settings.label, label) for shard in found.shards for label in shard.attacks}
    everything = {"sticker", "anywhere", "evolved", "shaped"}
    assert met == {
        *(("theirs", label) for label in ("sticker", "anywhere")),
        *((label, name) for label in ("open", TWO_MODELS[0].label) for name in everything),
    }
    assert found.skipped == (
        "evolved needs scores, and theirs gives no more than label.",
        "shaped needs scores, and theirs gives no more than label.",
    )
    assert plan.describe(found, ())["not run"] == list(found.skipped)


def test_a_recogniser_that_meets_no_attack_is_refused_in_one_sentence():
    with pytest.raises(AustickerError, match=r"^Recogniser 'theirs' of job 'small' meets no attack .*\.$") as raised:
        grid(models=(*TWO_MODELS, THEIRS), attacks=SEARCHES[2:])
    assert "\n" not in str(raised.value)


def test_a_recogniser_that_no_corpus_is_left_for_is_refused():
    with pytest.raises(AustickerError, match=f"'{TWO_MODELS[0].label}' of job 'small' meets no attack"):
        grid(models=TWO_MODELS, only={TWO_MODELS[0].label: ("orl-photos",)})


def test_labels_that_stand_for_no_class_are_refused_before_anything_runs():
    with pytest.raises(AustickerError, match=r"No label of the recogniser 'theirs' \(a, c\) stands for the class 'b'"):
        grid(models=(dataclasses.replace(THEIRS, labels=("a", "c")),))
    wrong = dataclasses.replace(THEIRS, classes={"a": "a", "b": "bb"})
    with pytest.raises(AustickerError, match=r"'bb', which is no class of the study"):
        grid(models=(wrong,))


def test_a_recogniser_is_attacked_on_its_own_corpora_alone():
    both = (CorpusChoice(name="orl-motion"), CorpusChoice(name="orl-photos"))
    photos = dataclasses.replace(corpus(fingerprint="e" * 64), name="orl-photos")
    one, other = (settings.label for settings in TWO_MODELS)
    wanted = job(corpora=both, models=TWO_MODELS, only={one: ("orl-photos",)})
    opened = {"orl-motion": FACES, "orl-photos": photos}
    with mock.patch.object(corpora, "open_corpus", side_effect=lambda name, *_: opened[name]):
        found = plan.expand(wanted)
    met = {(shard.settings.label, shard.corpus) for shard in found.shards}
    assert met == {(one, "orl-photos"), (other, "orl-photos"), (other, "orl-motion")}


def test_each_attack_has_tasks_of_its_own_and_who_was_trained_elsewhere_is_not_trained(tmp_path):
    found = grid(models=(THEIRS, TWO_MODELS[0]), attacks=SEARCHES[:2])
    tasks = found.tasks(Store(tmp_path))
    assert stages(tasks) == {"train": 3, "discover": 3, "attack": 3 * 2 * 2}
    for task in tasks:
        assert {cell.attack for cell in task.cells} == ({task.attack} if task.stage == "attack" else set())
        assert {need.partition("-")[0] for need in task.needs} == {
            *(["discover"] if task.attack == "sticker" else []),
            *(["train"] if task.stage == "attack" and task.model != "theirs" else []),
        }
    assert ids(tasks) == found.cells
    assert found.evaluations == (3 + 2 + 2) * 2 * (1 + 6 * 1 + 2 * 9)


def test_a_discover_task_carries_the_kinds_that_its_attacks_lack(tmp_path):
    found = grid(
        attacks=(
            attack(placements=("causal", "causal/stable", "control/blank", "region/chin")),
            attack(
                label="more", placements=("control/tuned", "control/blank", "control/motion", "control/random-region")
            ),
        ),
        corpora=(CorpusChoice(name="orl-motion", folds=1),),
    )
    store = Store(tmp_path)
    (task,) = [task for task in found.tasks(store) if task.stage == "discover"]
    assert task.kinds == ("graph", "stable", "blank", "motion")
    assert all(task.id in other.needs for other in found.tasks(store) if other.stage == "attack")
    assert {kind for _, _, kind in found.choices} == {"stable", "blank", "motion"}
    store.write_json(layout.graph(task.graph), {})
    for kind in ("stable", "blank"):
        store.write_json(layout.choice(found.choices["orl-motion", "ann", kind]), {})
    (task,) = [task for task in found.tasks(store) if task.stage == "discover"]
    assert task.kinds == ("motion",)
    store.write_json(layout.choice(found.choices["orl-motion", "ann", "motion"]), {})
    assert stages(found.tasks(store)) == {"train": 1, "discover": 0, "attack": 2}


def test_budgets_count_among_the_evaluations_and_growth_by_an_attack_does_only_the_new(tmp_path):
    store, old, grown = Store(tmp_path), grid(), grid(attacks=SEARCHES)
    for task in old.tasks(store):
        finish(store, task)
    tasks = grown.tasks(store)
    assert {task.attack for task in tasks} == {"anywhere", "evolved", "shaped"}
    assert stages(tasks) == {"train": 0, "discover": 0, "attack": 9}
    assert {cell.sticker for task in tasks if task.attack == "shaped" for cell in task.cells} == {"plain patch"}
    assert grown.evaluations == (3 + 2 + 2) * (1 + 6 + 2 * 9 + 2 * 50 + 60)


def test_a_task_has_a_title_for_people(tmp_path):
    tasks = grid().tasks(Store(tmp_path))
    assert [task.title for task in tasks[:3]] == [
        "train stcnn-w0.25 orl-motion ann", "discover orl-motion ann", "attack sticker stcnn-w0.25 orl-motion ann",
    ]  # fmt: skip


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh Python holds after this code."""
    report = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    found = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], env=environment, capture_output=True, text=True, check=True
    )
    return set(json.loads(found.stdout.splitlines()[-1]))


def test_planning_imports_neither_ray_nor_torch_nor_mlflow(tmp_path):
    code = f"""
from pathlib import Path
from austicker import corpora, job, plan
from austicker.store import Store
from planted_corpus import corpus
corpora.open_corpus = lambda *_: corpus()
read = job.read(Path({str(HERE.parent / "jobs" / "demo.toml")!r}), ["corpora.0.folds=2"])
assert plan.expand(read).tasks(Store({str(tmp_path)!r}))
job.read(Path({str(HERE.parent / "jobs" / "table2.toml")!r}))
"""
    loaded = loaded_after(code)
    assert "austicker" in loaded
    assert not loaded & {"ray", "torch", "mlflow", "causallearn", "polars", "mediapipe"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["submit", "--help"]])
def test_help_imports_no_heavy_library(arguments):
    code = f"""
import sys
from austicker.cli import main
sys.argv = ["austicker-grid", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert not end.code
"""
    loaded = loaded_after(code)
    assert "typer" in loaded
    assert not loaded & {"ray", "torch", "mlflow", "polars", "cv2", "causallearn", "mediapipe"}
