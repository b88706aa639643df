"""The benchmark's record, its forecast and its small report; the measuring itself is run once, small, on a real Ray."""

from __future__ import annotations

import dataclasses
import json

import pytest

from austicker import bench, corpora, grid, models, plan
from austicker import job as jobs
from austicker.bench import measure, writing
from austicker.bench.record import Measured, Point
from austicker.grid import Rate
from austicker.store import Store
from austicker.types import AustickerError

JOB = {
    "name": "b",
    "corpora": [{"name": "orl-motion", "folds": 2}],
    "discovery": {"bootstraps": 2},
    "models": [{"name": "mmnet", "label": "m", "width": 0.0625, "input_px": 32, "epochs": 2}],
    "attacks": [{"stickers": ["star", "sun"], "placements": ["causal", "random/1", "chin"]}],
}


@pytest.fixture
def job(tmp_path) -> jobs.Job:
    return jobs.check(JOB, "job.toml", tmp_path)


def record(**changes: object) -> Measured:
    settings = models.settings("mmnet", label="m", width=0.0625, input_px=32, epochs=2)
    rates = (
        Rate(stage="train", model="m", corpus="orl-motion", seconds=30.0),
        Rate(stage="discover", model="", corpus="orl-motion", seconds=2.0),
        Rate(stage="attack", model="m", corpus="orl-motion", attack="sticker", seconds=0.5),
    )
    point = Point(
        workers=1, seconds=8.0, verdicts_per_s=100.0, evaluations_per_s=101.0, cells_per_s=16.0, efficiency=1.0
    )
    there = Measured(
        job="b",
        slots=2,
        gpu_share=0.25,
        hardware={"cores": "2"},
        models={"m": json.loads(json.dumps(dataclasses.asdict(settings)))},
        rates=rates,
        scaled_model="m",
        shard_s=1.0,
        scaling=(point, dataclasses.replace(point, workers=2, seconds=4.2, verdicts_per_s=190.0, efficiency=0.95)),
        plain_s=8.0,
        grid_s=8.2,
        commits_per_s=50.0,
        bytes_per_row=20.0,
        aggregated_rows_per_s=7e4,
        weights_bytes={"m": 1000},
    )
    return dataclasses.replace(there, **changes)


def test_a_record_comes_back(tmp_path):
    writing.write(record(), tmp_path)
    assert bench.read(tmp_path / "bench.json") == record()
    assert json.loads((tmp_path / "bench.json").read_text())["overhead"] == pytest.approx(0.025)


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"job": 3}', "\x00"])
def test_another_file_is_one_sentence(tmp_path, content):
    path = tmp_path / "bench.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AustickerError, match="is no benchmark's record") as refusal:
        bench.read(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.usefixtures("orl_motion")
class TestForecast:
    def test_it_adds_up_what_is_left_to_do(self, job, tmp_path):
        laid_out = plan.expand(job)
        tasks = laid_out.tasks(Store(tmp_path / "store"))
        found = bench.forecast(laid_out, tasks, record())
        rows = 2 * 6 * 2 * 3
        assert found.rows == rows
        assert found.seconds == pytest.approx((2 * 30 + 2 * 2 + rows * 0.5) / 2)
        assert found.gpu_hours == pytest.approx((2 * 30 + rows * 0.5) * 0.25 / 3600)
        assert found.bytes == rows * 20 + 2 * 1000
        assert found.unknown == ()

    def test_nothing_to_do_takes_nothing(self, job):
        found = bench.forecast(plan.expand(job), (), record())
        assert (found.seconds, found.rows, found.bytes) == (0, 0, 0)

    def test_a_recogniser_of_other_settings_is_unknown(self, job, tmp_path):
        other = dataclasses.replace(job, models=(dataclasses.replace(job.models[0], epochs=3),))
        laid_out = plan.expand(other)
        found = bench.forecast(laid_out, laid_out.tasks(Store(tmp_path / "store")), record())
        assert (found.seconds, found.gpu_hours) == (None, None)
        assert found.unknown == ("attack sticker m orl-motion", "train m orl-motion")
        assert found.rows == 72


@pytest.mark.parametrize(("slots", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_workers_are_doubled_up_to_all(slots, counts):
    assert measure.worker_counts(slots) == counts


def test_the_text_says_what_the_record_says():
    text = writing.to_text(record())
    assert "takes +2.5% of the time" in text
    assert "| 2 | 16 | 190 | 101 | 0.95 |" in text
    assert "| train | m | – | orl-motion | fold | 30 |" in text


@pytest.mark.cluster
@pytest.mark.xdist_group("cluster")
def test_a_small_benchmark_on_a_real_ray(job, tmp_path, orl_motion, monkeypatch):
    monkeypatch.setattr(measure, "SHARD_S", 0.05)
    monkeypatch.setattr(measure, "SHARDS_PER_WORKER", 1)
    rounds: list[tuple[int, int]] = []
    site = grid.Site(workers=2)
    measured = measure.measure(job, Store(tmp_path / "store"), site, 1, lambda *done: rounds.append(done))
    assert [point.workers for point in measured.scaling] == [1, 2]
    assert rounds == [(1, 3), (2, 3), (3, 3)]
    assert {(rate.stage, rate.model) for rate in measured.rates} == {("train", "m"), ("discover", ""), ("attack", "m")}
    assert measured.scaling[0].evaluations_per_s > measured.scaling[0].verdicts_per_s > 1
    assert all(rate.seconds > 0 for rate in measured.rates)
    assert 1 < measured.bytes_per_row < 1000
    assert measured.weights_bytes["m"] > 1000
    writing.write(measured, tmp_path / "bench")
    assert (tmp_path / "bench" / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert corpora.EMBEDDED[0] == measured.rates[0].corpus
