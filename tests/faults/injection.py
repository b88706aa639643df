"""Kills a process at a chosen step of a commit to a folder store, or lets the store's system calls fail.

The package knows nothing of this. Processes that are started with this folder on PYTHONPATH and a plan's folder in
AUSTICKER_FAULTS wrap the system calls by which a file is committed; a test changes the plan while they run.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

STEPS = ("unbegun", "empty", "torn", "written", "forced", "named", "settled")
"""No draft yet; an empty one; half of it; all of it; forced to the disk; under its final name; its folder forced."""
HARMLESS = STEPS[STEPS.index("named") :]
"""Steps after which the file is there: who dies there has lost nothing."""

Point = tuple[str, str]
"""A key of the store and a step of its commit."""


class Plan:
    """What goes wrong and what happened, in a folder that all processes see.

    Args:
        folder: of the plan, outside of any store.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._round = 0

    def arm(
        self,
        store: Path,
        crashes: Iterable[Point] = (),
        *,
        always: Iterable[Point] = (),
        holds: Iterable[Point] = (),
    ) -> None:
        """Forgets what was planned and what happened, and watches another store.

        Args:
            store: its folder.
            crashes: points that kill the first process that comes there.
            always: points that kill every process that comes there.
            holds: points where the first process that comes there waits for `let_go`.
        """
        self._round += 1
        (self._happened / "fired").mkdir(parents=True)
        points = {"crashes": list(crashes), "always": list(always), "holds": list(holds)}
        _put(self.folder / "plan.json", {"store": str(store), "happened": str(self._happened), **points})

    def let_go(self) -> None:
        """Lets those go on that were held."""
        (self._happened / "let go").touch()

    def refuse(self, number: int, verbs: Sequence[str] = ("read", "write")) -> None:
        """Lets system calls of these kinds fail on the store from now on, with an error number."""
        _put(self._happened / "refusal.json", {"errno": number, "verbs": verbs})

    def allow(self) -> None:
        """Ends `refuse`."""
        (self._happened / "refusal.json").unlink()

    @property
    def _happened(self) -> Path:
        return self.folder / str(self._round)

    def fired(self) -> list[str]:
        """Returns every point where a process was killed or held, as "key@step"."""
        return sorted(path.name.replace(":", "/") for path in (self._happened / "fired").iterdir())

    def log(self) -> list[tuple[int, str, str]]:
        """Returns (process, key, step) of everything that was reached, in order; step "refused" is a failed call."""
        try:
            lines = (self._happened / "log").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [(int(number), key, step) for number, key, step in map(str.split, lines)]


def _put(path: Path, record: dict[str, Any]) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(record))
    draft.replace(path)


class _Injection:
    """The wrapped system calls of this process."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._drafts: dict[str, str] = {}
        self._named = threading.local()
        self._mkstemp, self._write_bytes, self._fsync = tempfile.mkstemp, Path.write_bytes, os.fsync

    def install(self) -> None:
        """Puts the wrappers in the place of the calls that `austicker.store.folder` makes."""
        tempfile.mkstemp = self.mkstemp
        os.fsync = self.fsync
        os.replace = self._naming(os.replace)
        os.link = self._naming(os.link)
        os.scandir = self._reading(os.scandir)
        os.listdir = self._reading(os.listdir)
        pathlib.Path.write_bytes = lambda path, content: self.write_bytes(path, content)
        pathlib.Path.read_bytes = self._reading(Path.read_bytes)
        pathlib.Path.stat = self._reading(Path.stat)

    def mkstemp(self, suffix: str = "", prefix: str = "", dir: Any = None, text: bool = False) -> tuple[int, str]:  # noqa: A002
        name = prefix.removeprefix(".").removesuffix(".")
        key = self._key(Path(dir) / name) if dir else None
        if key is None:
            return self._mkstemp(suffix, prefix, dir, text)
        self._demand(key, "write")
        self._reached(key, "unbegun")
        handle, draft = self._mkstemp(suffix, prefix, dir, text)
        self._drafts[draft] = key
        self._reached(key, "empty")
        return handle, draft

    def write_bytes(self, path: Path, content: bytes) -> int:
        key = self._drafts.get(str(path))
        if key is None:
            return self._write_bytes(path, content)
        if self._refusal("write"):
            self._write_bytes(path, content[: len(content) // 2])
        self._demand(key, "write")
        self._reached(key, "torn", lambda: self._write_bytes(path, content[: len(content) // 2]))
        written = self._write_bytes(path, content)
        self._reached(key, "written")
        return written

    def fsync(self, handle: Any) -> None:
        status = os.fstat(handle if isinstance(handle, int) else handle.fileno())
        if stat.S_ISDIR(status.st_mode):
            key, step = getattr(self._named, "key", None), "settled"
        else:
            key, step = self._draft_of(status), "forced"
        if key is not None:
            self._demand(key, "write")
        self._fsync(handle)
        if key is not None:
            self._reached(key, step)

    def _draft_of(self, status: os.stat_result) -> str | None:
        for draft, key in list(self._drafts.items()):
            try:
                if os.path.samestat(os.stat(draft), status):  # noqa: PTH116  # `Path.stat` is wrapped
                    return key
            except FileNotFoundError:
                del self._drafts[draft]
        return None

    def _naming(self, call: Callable[..., None]) -> Callable[..., None]:
        def named(source: Any, target: Any, **options: Any) -> None:
            key = self._drafts.get(str(source))
            if key is None:
                return call(source, target, **options)
            self._demand(key, "write")
            call(source, target, **options)
            self._named.key = key
            self._reached(key, "named")

        return named

    def _reading(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def read(path: Any = ".", *given: Any, **options: Any) -> Any:
            if isinstance(path, (str, Path)):
                key = self._key(Path(path))
                if key is not None:
                    self._demand(key, "read")
            return call(path, *given, **options)

        return read

    def _plan(self) -> dict[str, Any] | None:
        return _json(f"{self._folder}/plan.json")

    def _key(self, path: Path) -> str | None:
        plan = self._plan()
        if plan is None or not path.is_relative_to(plan["store"]):
            return None
        return path.relative_to(plan["store"]).as_posix()

    def _refusal(self, verb: str) -> int | None:
        plan = self._plan()
        refusal = _json(f"{plan['happened']}/refusal.json") if plan else None
        return refusal["errno"] if refusal and verb in refusal["verbs"] else None

    def _demand(self, key: str, verb: str) -> None:
        number = self._refusal(verb)
        if number is not None:
            self._note(key, "refused")
            raise OSError(number, os.strerror(number))

    def _reached(self, key: str, step: str, last: Callable[[], object] = lambda: None) -> None:
        """Notes that a commit came to a step, and ends the process there if that is planned."""
        self._note(key, step)
        plan, point = self._plan(), [key, step]
        if plan is None:
            return
        if point in plan["always"] or (point in plan["crashes"] and _first(plan["happened"], key, step)):
            last()
            os.kill(os.getpid(), signal.SIGKILL)
        if point in plan["holds"] and _first(plan["happened"], key, step):
            while not os.path.exists(f"{plan['happened']}/let go"):  # noqa: PTH110
                time.sleep(0.02)

    def _note(self, key: str, step: str) -> None:
        plan = self._plan()
        if plan is None:
            return
        handle = os.open(f"{plan['happened']}/log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        try:
            os.write(handle, f"{os.getpid()} {key or '.'} {step}\n".encode())
        finally:
            os.close(handle)


def _json(path: str) -> dict[str, Any] | None:
    try:
        with open(path) as file:  # noqa: PTH123  # `Path` is wrapped
            return dict(json.load(file))
    except FileNotFoundError:
        return None


def _first(folder: str, key: str, step: str) -> bool:
    try:
        os.close(os.open(f"{folder}/fired/{key.replace('/', ':')}@{step}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def install(folder: str) -> None:
    """Wraps this process' system calls according to the plan in a folder."""
    _Injection(folder).install()
