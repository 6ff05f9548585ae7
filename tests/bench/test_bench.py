"""The benchmark works from end to end. What it measures is nothing that a test could hold."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.figures import FIGURES, GROWING
from bench.stacks import BARE_TORNADO, STACKS

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Where a quick run has left its results, and what it has printed."""
    folder = tmp_path_factory.mktemp("bench")
    run = subprocess.run(
        [sys.executable, "latchkey", "bench", "--quick", f"--to={folder}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return folder, run.stdout


def figures_of(folder: Path, stack: str) -> dict[str, Any]:
    """What the first round has measured of a stack."""
    results = json.loads((folder / "results.json").read_text())
    visits = (each for each in results["visits"] if each["stack"] == stack and each["round"] == 1)
    return next(visits)["figures"]


@pytest.mark.parametrize("stack", STACKS)
def test_every_scenario_was_measured_on_every_stack(quick_run: tuple[Path, str], stack: str):
    assert {figure.name for figure in FIGURES} <= figures_of(quick_run[0], stack).keys()


def test_an_opening_through_the_other_node_was_measured(quick_run: tuple[Path, str]):
    assert figures_of(quick_run[0], "two nodes").keys() == {
        "two_nodes.same_ms",
        "two_nodes.other_ms",
    }


def test_the_table_shows_each_figure_beside_the_peers(quick_run: tuple[Path, str]):
    _, printed = quick_run
    assert all(figure.title in printed for figure in FIGURES)
    assert all(stack.title in printed for stack in STACKS.values())


def test_what_the_load_itself_costs_is_told(quick_run: tuple[Path, str]):
    assert "The load used " in quick_run[1]


def test_a_peer_that_stores_has_stored(quick_run: tuple[Path, str]):
    storing = [stack.name for stack in STACKS.values() if stack is not BARE_TORNADO]
    assert all(figures_of(quick_run[0], name)["open.mongod_us"] > 0 for name in storing)


def test_the_growth_is_drawn(quick_run: tuple[Path, str]):
    drawings = sorted(quick_run[0].glob("growth-*.svg"))
    assert len(drawings) == len(GROWING)
    for drawing in drawings:
        assert "locks" in [text.text for text in ElementTree.parse(drawing).iter() if text.text]  # noqa: S314 - our own
