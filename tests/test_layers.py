"""The house rules: which room may import which, one door to each heavy library, and shelves whose parts are there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import austicker
from austicker.attacks import ATTACKS
from austicker.corpora import CORPORA
from austicker.foreign import FOREIGN
from austicker.foreign.kinds import Kind
from austicker.models import MODELS
from austicker.placements import PLACEMENTS

ROOT = Path(austicker.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py"))

# A room imports only rooms above it. The order is DESIGN.md's "One way down", refined where that gives a pair no
# order or the code showed another to be simpler: the reason is beside each.
ROOMS = [
    "__init__",  # the version alone
    "types",  # the nouns
    "registry",
    "terminal",  # what may be shown of texts from elsewhere
    "store",  # before corpora, weights and results, which write through it
    "memory",  # batches that fit, for training and attacks
    "visibility",  # what an attack changes of a picture
    "regions",
    "faces",  # landmarks, for corpora and generate
    "action_units",  # FACS notation, for motion and the corpora
    "motion",  # region motion, measured when a corpus is prepared
    "drawing",  # draws the shipped stickers; a script
    "corpora",
    "folds",
    "protocols",  # which clips in which classes, divided by folds
    "stickers",
    "wearing",  # a sticker turned, faded and bent
    "models",
    "training",
    "weights",  # trained recognisers in a store
    "victims",  # what an attack may ask of a recogniser
    "foreign",  # recognisers trained elsewhere
    "independence",  # the tests that the causal search asks
    "causal",
    "choices",  # regions that other rules would choose
    "planted_truth",
    "placements",
    "depth",  # how a face curves away, over which a sticker bends
    "attacks",
    "poisoning",  # an attack on training pictures
    "results",
    "identity",  # hashes records of the rooms above
    "job",
    "parcel",  # a job packed for another machine
    "shard",  # one fold's clips before one recogniser
    "plan",
    "ready",  # recognisers trained, read or opened for a task
    "findings",  # what stages keep of folds, and the job's record
    "stages",  # the pure stages, of which grid knows only that they are functions of a task
    "grid",
    "prepare",  # packs the corpora of a user's folders on the grid
    "progress",  # adds up what grid tells; read by submission, console and cli
    "claim",  # the job's record in a store
    "pseudonyms",  # for people in a report
    "generate",  # stickers on a user's own pictures
    "report",  # after stages and generate: its page shows graphs and example pictures
    "tracking",  # mirrors what the report computed
    "course",  # one run of tasks
    "submission",
    "status",  # what a store says of its run
    "bench",  # measures the stages as a submission runs them
    "console",
    "remote",  # jobs of a cluster's job server
    "cli",
    "__main__",
]
DOORS = {
    "ray": "grid",
    "causallearn": "causal.py",
    "mlflow": "tracking.py",
    "typer": "cli",
    "mediapipe": "faces",
    "dlib": "faces",
    "h5py": "foreign",
    "onnxruntime": "foreign",
    "ai_edge_litert": "foreign",
}
VAGUE = {"utils", "util", "common", "helpers", "misc"}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(source: str) -> Iterator[tuple[str, int]]:
    """Yields each imported module and its line, wherever in the file the import stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute in this package"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def rooms_imported(source: str) -> Iterator[tuple[str, int]]:
    """Yields each room of the package that a source imports; the package's own names are its `__init__`."""
    for module, line in imported(source):
        package, _, rest = module.partition(".")
        if package == "austicker":
            room = rest.partition(".")[0]
            yield (room if room in ROOMS else "__init__"), line


def test_every_room_has_its_place_in_the_order():
    assert sorted({room_of(path) for path in FILES}) == sorted(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_rooms_above_it(path):
    own = ROOMS.index(room_of(path))
    below = [
        f"line {line}: {room}"
        for room, line in rooms_imported(path.read_text(encoding="utf-8"))
        if ROOMS.index(room) > own
    ]
    assert not below


def test_the_walk_sees_every_kind_of_import():
    source = """
import ray.util
from austicker import __version__, grid
from austicker.report.page import x
def f():
    import mlflow as m
    from typer import Option
if TYPE_CHECKING:
    from austicker.cli import app
"""
    assert [room for room, _ in rooms_imported(source)] == ["__init__", "grid", "report", "cli"]
    assert {name.partition(".")[0] for name, _ in imported(source)} == {"ray", "austicker", "mlflow", "typer"}


@pytest.mark.parametrize("library", DOORS)
def test_a_heavy_library_has_one_door(library):
    users = {
        path.relative_to(ROOT).parts[0]
        for path in FILES
        for module, _ in imported(path.read_text(encoding="utf-8"))
        if module.partition(".")[0] == library
    }
    assert users == {DOORS[library]}


def test_no_room_has_a_name_that_says_nothing():
    assert not [path for path in FILES if path.stem in VAGUE or path.parent.name in VAGUE]


@pytest.mark.parametrize("shelf", [MODELS, CORPORA, ATTACKS, PLACEMENTS], ids=lambda shelf: shelf.noun)
def test_every_part_on_a_shelf_can_be_imported_and_called(shelf):
    assert shelf.names()
    for name in shelf.names():
        assert callable(shelf[name])


def test_every_kind_of_foreign_recogniser_can_be_imported():
    assert {name for name in FOREIGN.names() if isinstance(FOREIGN[name], Kind)} == set(FOREIGN.names())
