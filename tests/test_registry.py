"""Registries: the nearest name for a misspelt one, and the parts that other packages add."""

from __future__ import annotations

import sys
from fractions import Fraction

import pytest

from austicker.registry import Registry, nearest
from austicker.types import AustickerError

GROUP = "austicker.shelf-of-this-test"


def shelf(**addresses: str) -> Registry[object]:
    return Registry("thing", GROUP, addresses or {"fraction": "fractions:Fraction", "decimal": "decimal:Decimal"})


def another_package(folder, lines: str) -> None:
    metadata = folder / "theirs-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}\n")
    (folder / "theirs_for_registry.py").write_text("class Part:\n    pass\n\n\ndef place():\n    return 'theirs'\n")


def test_a_known_name_is_imported_from_its_address():
    assert shelf()["fraction"] is Fraction
    assert shelf().names() == ("fraction", "decimal")
    assert shelf().check("decimal") == "decimal"


@pytest.mark.parametrize("ask", [lambda names, name: names[name], lambda names, name: names.check(name)])
def test_an_unknown_name_is_answered_with_the_nearest_or_with_all(ask):
    with pytest.raises(AustickerError, match=r"^Unknown thing 'fractoin' \(did you mean 'fraction'\?\)\.$"):
        ask(shelf(), "fractoin")
    with pytest.raises(AustickerError, match=r"^Unknown thing 'xyz'; known: fraction, decimal\.$"):
        ask(shelf(), "xyz")


def test_a_refusal_says_where_the_name_stands():
    with pytest.raises(AustickerError, match=r"'decimall' in jobs/mine.toml \(did you mean 'decimal'\?\)"):
        shelf().check("decimall", "jobs/mine.toml")


def test_an_address_is_imported_only_when_it_is_asked_for():
    names = shelf(broken="no.such.module:thing", fraction="fractions:Fraction")
    assert names.check("broken") == "broken"
    assert names["fraction"] is Fraction
    with pytest.raises(ModuleNotFoundError):
        names["broken"]


def test_the_parts_of_another_package_are_found_after_ours(tmp_path, monkeypatch):
    another_package(tmp_path, "part = theirs_for_registry:Part\nplace = theirs_for_registry:place")
    monkeypatch.syspath_prepend(tmp_path)
    names = shelf()
    assert names.names() == ("fraction", "decimal", "part", "place")
    assert "theirs_for_registry" not in sys.modules
    assert names["place"]() == "theirs"
    assert type(names["part"]()).__name__ == "Part"
    with pytest.raises(AustickerError, match="did you mean 'place'"):
        names.check("plaec")


def test_another_package_cannot_take_one_of_our_names(tmp_path, monkeypatch):
    another_package(tmp_path, "fraction = theirs_for_registry:Part")
    monkeypatch.syspath_prepend(tmp_path)
    assert shelf()["fraction"] is Fraction
    assert shelf().names() == ("fraction", "decimal")


def test_another_group_stays_out(tmp_path, monkeypatch):
    another_package(tmp_path, "part = theirs_for_registry:Part")
    monkeypatch.syspath_prepend(tmp_path)
    assert "part" not in Registry("thing", f"{GROUP}-2", {}).names()


def test_nearest_ignores_case_and_stays_silent_when_nothing_is_near():
    assert nearest("MMNET", ["mmnet", "stcnn"]) == " (did you mean 'mmnet'?)"
    assert nearest("qqq", ["mmnet", "stcnn"]) == ""
