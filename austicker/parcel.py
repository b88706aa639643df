"""A checked job packed for a cluster that sees nothing of this machine; sends nothing."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

from austicker import foreign, stickers
from austicker.foreign import ForeignSettings
from austicker.job import AttackChoice, Job
from austicker.store import address
from austicker.types import AustickerError, ModelSettings

JOB_FILE = "job.json"


def pack(job: Job, folder: Path) -> None:
    """Writes the canonical job, the user's own stickers and recognisers' files into an empty folder.

    Args:
        job: the checked job; its corpora must lie at the same paths on the cluster.
        folder: where to write; `job.read(folder / JOB_FILE)` reads it back.

    Raises:
        AustickerError: a recogniser's file is gone, or is not the one that was checked.
    """
    packed = replace(
        job,
        attacks=tuple(_with_stickers(attack, folder) for attack in job.attacks),
        models=tuple(_with_file(settings, folder) for settings in job.models),
    )
    (folder / JOB_FILE).write_text(json.dumps(packed.record(), indent=1), encoding="utf-8")


def _with_stickers(attack: AttackChoice, folder: Path) -> AttackChoice:
    """Returns the attack with stickers that are shipped or in the folder."""
    return replace(
        attack,
        stickers=tuple(name if name in stickers.STICKERS else _copied(Path(name), folder) for name in attack.stickers),
    )


def _with_file(settings: ModelSettings | ForeignSettings, folder: Path) -> ModelSettings | ForeignSettings:
    """Returns a recogniser whose file, where it is one, is in the folder."""
    if not isinstance(settings, ForeignSettings) or not foreign.is_file(settings):
        return settings
    there = Path(settings.source)
    content = foreign.file_content(settings, there)
    place = Path("recognisers") / settings.digest[:12] / there.name
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).write_bytes(content)
    return replace(settings, source=place.as_posix())


def _copied(sticker: Path, folder: Path) -> str:
    """Copies a sticker under its own name, by which verdicts know it, and returns its place in the folder."""
    place = Path("stickers") / stickers.load(str(sticker)).digest[:12] / sticker.name
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(sticker, folder / place)
    return place.as_posix()


def command(store: str, options: tuple[str, ...] = ()) -> str:
    """Returns the line for a shell that runs a packed job in its folder."""
    return shlex.join(("python", "-m", "austicker", "run", JOB_FILE, "--store", store, *options))


def shared_store(store: str | None) -> str:
    """Returns a store's address when a cluster can mean the same place by it.

    Raises:
        AustickerError: there is none, or it is a folder of this machine or relative to one.
    """
    if store is None:
        raise AustickerError(
            "A cluster does not see this machine's folders: name with --store an s3:// or gs:// address, or the "
            "absolute path of a folder that all its nodes share."
        )
    found = address.parse(store)
    if isinstance(found, Path) and not found.is_absolute():
        raise AustickerError(
            f"The store '{store}' is relative to a folder of this machine, which a cluster does not see: give an "
            "s3:// or gs:// address, or the absolute path of a folder that all its nodes share."
        )
    return store
