"""The tool that chooses recipes: it sees no test clip, keeps people apart, and says what does not fit."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from austicker import job, plan
from austicker.types import AustickerError

JOB = """
name = "few"
corpora = [{ name = "orl-motion", folds = 6 }]

[[models]]
name = "mmnet"
label = "tiny"
width = 0.0625
input_px = 32

[[attacks]]
name = "clean"
"""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    path = Path(__file__).parents[1] / "tools" / "choose_recipe.py"
    spec = importlib.util.spec_from_file_location("choose_recipe", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "few.toml"
    path.write_text(JOB)
    return path


def test_every_combination_is_tried(tool):
    found = list(tool.combinations(["a=1|2", "b=[[3, 0.1]]|[]"]))
    assert found == [["a=1", "b=[[3, 0.1]]"], ["a=1", "b=[]"], ["a=2", "b=[[3, 0.1]]"], ["a=2", "b=[]"]]
    assert list(tool.combinations([])) == [[]]


def test_no_test_clip_and_nobody_twice(tool, file, orl_motion):
    laid_out = plan.expand(job.read(file))
    corpus, learned, judges = tool.divided(laid_out, "tiny")
    tested = {position for fold in laid_out.folds["orl-motion"] for position in fold.test}
    assert len(tested) == 36
    assert not tested & {*learned, *judges}
    assert len(learned) + len(judges) == len(corpus.clips) - len(tested)
    people = [{corpus.clips[position].subject for position in positions} for positions in (learned, judges)]
    assert not people[0] & people[1]
    assert (len(people[0]), len(people[1])) == (19, 5)


def test_it_says_how_well_each_recipe_reads_the_held_out(tool, file, orl_motion, capsys):
    tool.main(file, "tiny", ["models.0.epochs=1|2"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for line, epochs in zip(lines, (1, 2), strict=True):
        told = re.match(rf"(\S+) \[(\S+), (\S+)\] of 30 clips, 114 learned, \d+ s: .*={epochs}$", line)
        mean, one, other = told.groups()
        assert float(mean) == pytest.approx((float(one) + float(other)) / 2, abs=6e-4)
        assert 0 <= float(mean) <= 1


def test_what_does_not_fit_is_refused(tool, file, orl_motion):
    with pytest.raises(AustickerError, match="trains no recogniser 'nobody'"):
        tool.main(file, "nobody", [])
    file.write_text(JOB.replace(", folds = 6", ""))
    with pytest.raises(AustickerError, match="No two people of 'orl-motion' are trained on in every fold"):
        tool.main(file, "tiny", [])
