"""The command that writes adversarial pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from austicker.types import AustickerError


def generate(
    output: Annotated[Path, typer.Argument(help="Folder for the pictures.", show_default=False)],
    corpus: Annotated[str | None, typer.Option(help="Corpus whose frames are attacked. (default: orl-motion)")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of a corpus that is not embedded, once prepared.")] = None,
    landmarks: Annotated[str, typer.Option(help="As the corpus was prepared with.")] = "mediapipe",
    photos: Annotated[Path | None, typer.Option(help="Folder of your own photos instead of a corpus.")] = None,
    sticker: Annotated[list[str] | None, typer.Option(help="Name or PNG file; repeatable. (default: monkey)")] = None,
    placement: Annotated[str, typer.Option(help="See `austicker-grid placements`.")] = "centre",
    side: Annotated[float, typer.Option(help="Side of the sticker as a fraction of the face's.")] = 0.2,
    rotation: Annotated[float, typer.Option(help="Degrees by which the sticker is turned, clockwise.")] = 0.0,
    opacity: Annotated[float, typer.Option(help="0 to 1; the sticker's own transparency counts besides.")] = 1.0,
    bend: Annotated[bool, typer.Option("--bend", help="Bend the sticker over the face like paper.")] = False,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT of the pictures. (default: as they are)")] = None,
    store: Annotated[
        str | None, typer.Option(metavar="STORE", help="Results whose graphs place 'causal' stickers.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random places.")] = 0,
    subject: Annotated[
        list[str] | None, typer.Option(help="Only this person of the corpus; repeatable. (default: all)")
    ] = None,
) -> None:
    """Write adversarial pictures: a corpus' frames, or your own photos, with stickers on them."""
    from austicker import console, corpora, placements, stickers, submission, wearing
    from austicker import generate as pictures
    from austicker.store import Store

    if corpus and photos:
        raise AustickerError("Give either --corpus or --photos, not both.")
    if subject and photos:
        raise AustickerError("--subject names people of a corpus: leave it out with --photos.")
    names = tuple(sticker or ["monkey"])
    for name in names:
        stickers.load(name)
    folders = [Path(name).stem for name in names]
    if len(set(folders)) < len(folders):
        raise AustickerError(f"Two stickers would share a folder ({', '.join(folders)}): rename one, or give it once.")
    stickers.check_fits(side)
    wearing.check(rotation, opacity)
    if placement not in placements.expand([placement], 1):
        raise AustickerError(f"'{placement}' names several placements; give one of them.")
    look = pictures.Look(
        stickers=names,
        placement=placement,
        side=side,
        size_px=pictures.parse_size(size) if size else None,
        graphs=submission.graphs(Store(store), corpus or "orl-motion") if store else {},
        seed=seed,
        subjects=tuple(subject or ()),
        rotation=rotation,
        opacity=opacity,
        bent=bend,
    )
    skipped: tuple[str, ...] = ()
    with console.preparing() as progress:
        if photos:
            written, skipped = pictures.from_folder(photos, look, output, progress)
        else:
            opened = corpora.open_corpus(
                corpus or "orl-motion", root, progress, corpora.check_landmarks(landmarks, "the command")
            )
            written = pictures.from_corpus(opened, look, output, progress)
    for sentence in skipped:
        typer.echo(sentence, err=True)
    typer.echo(f"{written} pictures in {output}")
    if not written:
        raise typer.Exit(1)
