"""What a store keeps of a job and of its folds: the job's record, causal graphs and choices of regions; finds none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from austicker import choices
from austicker.choices import RegionChoice
from austicker.job import from_record
from austicker.store import Store, layout
from austicker.types import AustickerError, RegionGraph

T = TypeVar("T")


def read_choice(store: Store, name: str) -> RegionChoice:
    """Reads a fold's choice of a region from the store.

    Raises:
        Unreadable: the file is missing or damaged.
    """
    return _read(store, layout.choice(name), choices.from_record, "choice of a region")


def read_graph(store: Store, name: str) -> RegionGraph:
    """Reads a fold's causal graph from the store.

    Raises:
        Unreadable: the file is missing or damaged.
    """
    return _read(store, layout.graph(name), _graph, "graph")


def _graph(record: Mapping[str, Any]) -> RegionGraph:
    """Returns a graph of the record that `dataclasses.asdict` gives of it."""
    edges = {name: tuple((a, b) for a, b in record[name]) for name in ("directed", "undirected", "bidirected")}
    names = {name: tuple(record[name]) for name in ("regions", "dropped", "tied")}
    return RegionGraph(**{**record, **edges, **names})


def _read(store: Store, key: str, made: Callable[[Mapping[str, Any]], T], noun: str) -> T:
    """Returns what is made of a sealed record.

    Raises:
        Unreadable: the file is missing or damaged, or holds something else.
    """
    record = store.read_sealed(key)
    try:
        return made(record)
    except (KeyError, TypeError, ValueError) as error:
        raise store.unreadable(key, f"it holds no {noun}") from error


def read_graphs(store: Store, job_record: Mapping[str, Any]) -> dict[tuple[str, str], RegionGraph]:
    """Reads the causal graphs of a store's job that are there, by (corpus, fold).

    Raises:
        AustickerError: a file is damaged.
    """
    there = set(store.keys(layout.GRAPHS))
    return {
        (corpus, fold): read_graph(store, graph)
        for corpus, fold, graph in job_record["graphs"]
        if layout.graph(graph) in there
    }


def read_choices(store: Store, job_record: Mapping[str, Any]) -> dict[tuple[str, str, str], RegionChoice]:
    """Reads the choices of a region of a store's job that are there, by (corpus, fold, kind).

    Raises:
        AustickerError: a file is damaged.
    """
    there = set(store.keys(layout.CHOICES))
    return {
        (corpus, fold, kind): read_choice(store, name)
        for corpus, fold, kind, name in job_record["choices"]
        if layout.choice(name) in there
    }


def read_job(store: Store) -> dict[str, Any]:
    """Reads what `submit` keeps of a store's job; the first contact of whoever only reads a store.

    Raises:
        AustickerError: there is none, it is damaged, or the store does not answer.
    """
    store.reach()
    if not store.has(layout.JOB):
        raise AustickerError(f"There is no job in '{store}': name the store that `submit` wrote to.")
    record = store.read_json(layout.JOB)
    try:
        from_record(record["job"])
        lacking = {
            "inputs",
            "cells",
            "corpora",
            "graphs",
            "choices",
            "skipped",
            "weights",
            "provenance",
        } - record.keys()
    except (KeyError, TypeError, AttributeError) as error:
        raise store.unreadable(layout.JOB, "it holds no job") from error
    if lacking:
        raise store.unreadable(layout.JOB, "it holds half a job")
    return record
