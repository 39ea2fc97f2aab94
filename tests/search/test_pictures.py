"""Pictures of genomes."""

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given, settings
from tests.search.genomes import EXAMPLES, genomes, labelled

from sparsewire.analysis.draw.palette import COLOURS
from sparsewire.errors import RequestError
from sparsewire.search.genotype import Genome
from sparsewire.search.pictures import draw_genome, draw_variation

SVG = "{http://www.w3.org/2000/svg}"


def parts(text: str, tag: str) -> list[ET.Element]:
    return list(ET.fromstring(text).iter(SVG + tag))


@given(genomes())
def test_every_vertex_has_a_box_and_every_edge_an_arrow(genome: Genome) -> None:
    text = draw_genome(genome)
    assert len(parts(text, "rect")) == len(genome)
    ends = len(genome.edges) + len(genome.sources) + len(genome.sinks)
    assert len(parts(text, "path")) == 2 * ends
    assert len(parts(text, "text")) == len(genome) + len(genome.sources) + len(genome.sinks)
    assert text == draw_genome(genome)


@given(genomes())
def test_all_lies_on_the_sheet(genome: Genome) -> None:
    text = draw_genome(genome)
    width, height = (float(ET.fromstring(text).get(side, "")) for side in ("width", "height"))
    for box in parts(text, "rect"):
        x, y, wide, tall = (float(box.get(name, "")) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + tall <= height


def test_words_say_what_a_vertex_does() -> None:
    words = [element.text for element in parts(draw_genome(EXAMPLES["deep"]), "text")]
    expected = {"conv 3×3 · 16", "conv 5×5 · 32", "conv 7×7 · 64", "max pool", "avg pool", "sum", "concat"}
    assert set(words) == expected | {"image", "classes"}


def test_the_six_types_of_operations_have_six_colours() -> None:
    genome = labelled(
        "conv3:1 conv5:1 conv7:1 max_pool avg_pool sum concat skip", *((place, place + 1) for place in range(7))
    )
    styles = [box.get("style", "").partition(";")[0] for box in parts(draw_genome(genome), "rect")]
    assert len(set(styles[:3])) == 1
    assert len(set(styles)) == 6


def test_colours_are_those_of_the_house_for_both_papers() -> None:
    text = draw_variation(EXAMPLES["deep"], EXAMPLES["bridged"])
    known = {f"var(--sw-{colour.name}, {colour.light})" for colour in COLOURS}
    assert set(re.findall(r"var\(--sw-(?!font)[^)]*\)", text)) <= known
    assert not re.findall("#[0-9a-f]{6}", re.sub(r"var\([^)]*\)", "", text))


def test_it_can_stand_in_a_page_beside_others() -> None:
    text = draw_genome(EXAMPLES["deep"])
    assert "<style" not in text
    assert " id=" not in text
    assert 'role="img"' in text
    assert "A genome of 8 vertices and 10 edges" in text


def test_marks_are_rings_and_strong_lines() -> None:
    plain, marked = draw_genome(EXAMPLES["deep"]), draw_genome(EXAMPLES["deep"], marked=[1, (0, 1), (2, 4)])
    assert "marked" not in plain
    assert "stroke-width: 2.2" not in plain
    assert marked.count("<title>marked</title>") == 1
    assert marked.count("stroke-width: 2.2") == 2


@settings(max_examples=20)
@given(genomes(most=6), genomes(most=6))
def test_two_genomes_stand_side_by_side(before: Genome, after: Genome) -> None:
    text = draw_variation(before, after, titles=("a < b", "b & a"))
    rings = text.count("<title>marked</title>")
    assert len(parts(text, "rect")) == len(before) + len(after) + rings
    words = [element.text for element in parts(text, "text")]
    assert words[:2] == ["a < b", "b & a"]


def test_the_same_genome_twice_has_no_marks() -> None:
    text = draw_variation(EXAMPLES["deep"], EXAMPLES["deep"])
    assert "<title>marked</title>" not in text
    assert "stroke-width: 2.2" not in text


LONG = labelled("skip " * 257, *((place, place + 1) for place in range(256)))
DENSE = labelled("skip " * 24, *((tail, head) for head in range(24) for tail in range(head)))
BAD: dict[str, tuple[Any, Any, str]] = {
    "no genome": ("conv3", (), "genome: found str, expected a Genome"),
    "a large one": (LONG, (), "genome: found 257 vertices, expected at most 256"),
    "a dense one": (DENSE, (), "genome: found edges over 2,300 levels in all, expected at most 1,500"),
    "a vertex that is not there": (EXAMPLES["chain"], [4], "marked: found 4"),
    "a negative vertex": (EXAMPLES["chain"], [-1], "marked: found -1"),
    "an edge that is not there": (EXAMPLES["chain"], [(0, 2)], r"marked: found \(0, 2\)"),
    "a word": (EXAMPLES["chain"], ["first"], "marked: found 'first'"),
}


@pytest.mark.parametrize("case", BAD)
def test_impossible_requests_are_refused(case: str) -> None:
    genome, marked, message = BAD[case]
    with pytest.raises(RequestError, match=message):
        draw_genome(genome, marked=marked)


def test_a_variation_needs_two_genomes_and_two_titles() -> None:
    with pytest.raises(RequestError, match="genome: found NoneType"):
        draw_variation(EXAMPLES["chain"], None)  # type: ignore[arg-type]
    for titles in ("ab", ("a",), ("a", "b", "c")):
        with pytest.raises(RequestError, match="titles: found"):
            draw_variation(EXAMPLES["chain"], EXAMPLES["chain"], titles=titles)  # type: ignore[arg-type]
