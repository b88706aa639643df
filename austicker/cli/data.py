"""The commands on corpora of the user's own folders: check, prepare, show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from austicker.cli.options import AsJson, Insecure, TaskCpus, Workers, show, site_of
from austicker.types import AustickerError

if TYPE_CHECKING:
    from austicker.corpora.preparation import Preparation
    from austicker.corpora.source import Finding

app = typer.Typer(help="Check, prepare and look at corpora that lie in folders of yours.", no_args_is_help=True)
CorpusName = Annotated[str, typer.Argument(metavar="CORPUS", help="See `austicker-grid corpora`.", show_default=False)]
Root = Annotated[Path, typer.Option("--root", metavar="DIR", help="Folder of the corpus.", show_default=False)]
WhoseLandmarks = Annotated[
    str,
    typer.Option(help="mediapipe, dlib (as in the papers; an optional extra), or corpus: those of its annotation."),
]


def _preparation(corpus: str, root: Path, landmarks: str) -> Preparation:
    from austicker import corpora
    from austicker.corpora.preparation import Preparation

    corpora.check(corpus, root, "the command")
    if corpus in corpora.EMBEDDED:
        raise AustickerError(f"Corpus '{corpus}' comes with the package: it has no folder to look at.")
    return Preparation(name=corpus, root=root, landmarks=corpora.check_landmarks(landmarks, "the command"))


@app.command()
def check(corpus: CorpusName, root: Root, landmarks: WhoseLandmarks = "mediapipe", as_json: AsJson = False) -> None:
    """Read every annotation and frame, and say clip by clip what is missing, unreadable, inconsistent or repaired."""
    from austicker import console, protocols
    from austicker.corpora.examination import examine

    with console.preparing("clips") as progress:
        found = examine(_preparation(corpus, root, landmarks), progress)
    if not as_json:
        console.say_findings(found.findings)
    summary = _summary(found.findings, len(found.outline.clips))
    show(summary | {"protocols": protocols.survey(found.outline)}, as_json)
    if not found.outline.clips:
        raise AustickerError(f"Corpus '{corpus}' in '{root}' cannot be used: not one of its clips can be read.")


@app.command()
def prepare(
    corpus: CorpusName,
    root: Root,
    landmarks: WhoseLandmarks = "mediapipe",
    address: Annotated[
        str | None, typer.Option(help="Ray cluster: 'auto' or host:port. (default: a private one, here)")
    ] = None,
    workers: Workers = None,
    task_cpus: TaskCpus = 1,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Decode, align, crop and pack a corpus once for all jobs; run it again to resume, or after a change."""
    from austicker import console, grid, protocols
    from austicker import prepare as preparing
    from austicker.corpora import packed, prepared

    preparation = _preparation(corpus, root, landmarks)
    site = site_of(address, workers, insecure, task_cpus, 0)
    grid.check(site)
    prepared.forget_failed(preparation)
    with console.preparing("clips") as progress:
        record = preparing.prepare(preparation, site, progress)
    opened = packed.load(preparation.folder)
    assert opened is not None  # nosec B101 # it was written a moment ago
    if not as_json:
        console.say_findings([finding for finding in record.findings if finding.kind != "repaired"])
    words = _summary(record.findings, len(opened.clips))
    words |= {"protocols": protocols.survey(opened), "fingerprint": record.fingerprint, "folder": str(opened.folder)}
    show(words, as_json)


@app.command("show")
def show_sheet(
    corpus: CorpusName,
    root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of a corpus that is not embedded, once prepared.", show_default=False),
    ] = None,
    landmarks: WhoseLandmarks = "mediapipe",
    output: Annotated[Path, typer.Option(help="PNG file of the sheet.")] = Path("contact-sheet.png"),
    count: Annotated[int, typer.Option(min=1, max=400, help="Clips on the sheet, spread over the people.")] = 24,
    subject: Annotated[str | None, typer.Option(help="Only this person's clips. (default: all)")] = None,
) -> None:
    """Draw a contact sheet of a prepared corpus: faces at onset and apex, landmarks and regions. It shows faces."""
    from austicker import console, corpora
    from austicker.corpora import contact_sheet, prepared

    if corpus in corpora.EMBEDDED:
        with console.preparing("people") as progress:
            opened = corpora.open_corpus(corpus, root, progress)
    elif root is None:
        raise AustickerError(f"Corpus '{corpus}' is not embedded: name the folder of its data with --root.")
    else:
        opened = prepared.open_prepared(_preparation(corpus, root, landmarks))
    contact_sheet.write(opened, contact_sheet.choose(opened, count, subject), output)
    typer.echo(f"{output}: faces of people; keep to the corpus' licence.")


def _summary(findings: Sequence[Finding], clips: int) -> dict[str, object]:
    kinds = Counter(finding.kind for finding in findings)
    rules = Counter(finding.rule for finding in findings if finding.rule)
    return {
        "usable clips": clips,
        "findings": {kind: kinds[kind] for kind in ("missing", "unreadable", "inconsistent", "repaired")},
        "repairs": dict(sorted(rules.items())),
    }
