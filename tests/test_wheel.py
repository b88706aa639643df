"""The wheel carries all that the package reads: it works from a folder of its own, without the source tree."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROBE = """
import austicker, tomllib
from pathlib import Path
from austicker import stickers
from austicker.corpora import mesh_warp, planted
from austicker.models import MODELS, published
from importlib.resources import files
assert not str(Path(austicker.__file__)).startswith({source!r}), austicker.__file__
assert [stickers.load(name).rgba.shape for name in stickers.STICKERS] == [(256, 256, 4)] * 8
assert planted.load().cause == "glabella"
assert len(mesh_warp._blendshapes()) == 52
assert all(published(name)["epochs"] > 0 or published(name)["trees"] > 0 for name in MODELS.names())
assert all((files("austicker.report") / name).is_file() for name in ("page.html.j2", "page.css", "page.js"))
print("whole")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return next(folder.glob("austicker-*.whl"))


def test_the_wheel_works_without_the_source_tree(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    shown = subprocess.run(
        [sys.executable, "-c", PROBE.format(source=str(ROOT))],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.stdout.strip() == "whole", shown.stderr


def test_the_wheel_holds_no_test_and_no_photograph(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.startswith("tests/") or name.endswith((".pgm", ".task"))]
    assert any(name.endswith("licenses/LICENSE") for name in names)
