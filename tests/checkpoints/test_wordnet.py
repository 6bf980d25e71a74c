"""What stands above ImageNet's classes: the table against WordNet's own program, and against WordNet's own file."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import PACKAGE, ROOT

from vithybrid_cli.checkpoints.layouts.imagenet import class_list, wordnet_labels
from vithybrid_cli.checkpoints.layouts.wordnet import ancestors

LAYOUTS = PACKAGE / "checkpoints" / "layouts"
NOUNS = Path("/usr/share/wordnet/data.noun")  # of Debian's wordnet-base
# What `wn siberian_husky -hypen -o -a` and others print, by the program of Debian's package wordnet 1:3.0-37.
PRINTED = ROOT / "tests" / "data" / "wordnet-hypernyms.txt"
LEFT_OUT = {"instrumentality", "device", "commodity", "consumer goods", "part"}
OF_THE_TOP = {"animal", "plant", "person", "food"}


def above(wnid: str) -> set[str]:
    """All that stands above a synset in the table."""
    parents = ancestors().above.get(wnid, ())
    return set(parents).union(*map(above, parents))


def printed() -> Iterator[tuple[str, dict[str, str]]]:
    """The id of each sense that the program has printed, and the ids and first lemmas above it that the table has."""
    for sense in re.split(r"\nSense \d+\n", PRINTED.read_text(encoding="utf-8"))[1:]:
        own = re.match(r"\{(\d{8})\}", sense)
        assert own is not None
        found = {}
        for number, file, lemma in re.findall(r"=?> \{(\d{8})\} <([\w.]+)> ([^,\n]*)", sense):
            name = re.sub(r"\d+$", "", lemma)
            if name in OF_THE_TOP if file == "noun.Tops" else name not in LEFT_OUT:
                found[f"n{number}"] = name
        yield f"n{own[1]}", found


def test_the_table_has_what_wordnets_own_program_prints() -> None:
    classes = {wnid: found for wnid, found in printed() if wnid in wordnet_labels()}
    assert len(classes) >= 7
    for wnid, found in classes.items():
        assert {synset: ancestors().names[synset] for synset in above(wnid)} == found, wordnet_labels()[wnid]


def test_a_husky_is_a_dog_and_a_minivan_is_a_van_and_a_car() -> None:
    names = ancestors().names
    assert {"sled dog", "working dog", "dog", "canine"} < {names[wnid] for wnid in above("n02110185")}
    assert {"passenger van", "car", "motor vehicle"} < {names[wnid] for wnid in above("n03770679")}


def test_what_says_nothing_is_not_in_the_table() -> None:
    found = class_list(1000)
    assert found is not None
    names = {ancestors().names[synset] for wnid in found.wnids for synset in above(wnid)}
    assert names.isdisjoint({"entity", "physical entity", "object", "whole", "artifact", "matter", *LEFT_OUT})
    assert names > OF_THE_TOP


def test_nearly_every_class_has_something_above_it() -> None:
    found = class_list(1000)
    assert found is not None
    alone = [label for wnid, label in zip(found.wnids, found.labels, strict=True) if not above(wnid)]
    assert alone == ["lighter, light, igniter, ignitor", "pick, plectrum, plectron", "remote control, remote"]


def test_no_synset_stands_above_itself() -> None:
    assert [wnid for wnid in ancestors().names if wnid in above(wnid)] == []


def test_the_licence_goes_with_the_table_which_stays_small() -> None:
    licence = (LAYOUTS / "wordnet-licence.txt").read_text(encoding="utf-8")
    assert "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved." in licence
    assert 'THIS SOFTWARE AND DATABASE IS PROVIDED "AS IS"' in licence
    assert (LAYOUTS / "wordnet-ancestors.tsv").stat().st_size < 400_000


@pytest.mark.skipif(not NOUNS.is_file(), reason="WordNet is not installed (Debian's wordnet-base)")
def test_the_script_makes_the_table_of_wordnets_file(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "scripts" / "wordnet.py"), str(tmp_path / "table.tsv"), str(NOUNS)]
    subprocess.run(script, check=True)
    assert (tmp_path / "table.tsv").read_bytes() == (LAYOUTS / "wordnet-ancestors.tsv").read_bytes()
