"""How figures are printed, and that each topic of the bench can be asked for alone."""

import sys

import pytest

from screener_local import bench
from screener_local.bench.figures import Figure
from screener_local.bench.measured import measured
from screener_local.errors import LocalError


@pytest.mark.parametrize(
    ("figure", "line"),
    [
        pytest.param(Figure("a_s", 1.23456, "s"), "a_s 1.235 s - -", id="without a baseline"),
        pytest.param(Figure("a_s", 2.0, "s", 10.0), "a_s 2 s 10 5", id="a time five times less"),
        pytest.param(
            Figure("rows", 250_000.0, "rows/s", 50_000.0, more_is_better=True),
            "rows 250000 rows/s 50000 5",
            id="a rate five times more",
        ),
    ],
)
def test_a_figure_is_one_line(figure: Figure, line: str) -> None:
    assert figure.line() == line


def test_every_figure_belongs_to_one_topic_and_can_be_asked_for_alone() -> None:
    every = (*bench.TOPICS, *bench.BY_NAME)
    names = [name for topic in every for name in bench.load(topic).NAMES]
    assert len(names) == len(set(names))
    for topic in every:
        assert bench.topics(topic) == [topic]
        for name in bench.load(topic).NAMES:
            assert bench.topics(name) == [topic]
    assert bench.topics("") == list(bench.TOPICS)


def test_what_no_topic_measures_is_named_with_what_there_is() -> None:
    with pytest.raises(LocalError, match="ONLY=nonsense: one of operator, "):
        bench.topics("nonsense")


def test_the_memory_of_a_program_is_that_of_its_children_too_and_of_each_file_once() -> None:
    child = "import time; own = b'x' * 60_000_000; time.sleep(1)"
    alone = measured("child", [sys.executable, "-c", child])
    program = (
        "import subprocess, sys; own = b'x' * 60_000_000;"
        f" subprocess.run([sys.executable, '-c', {child!r}])"
    )
    both = measured("program", [sys.executable, "-c", program])
    # 57 MiB each, and the interpreter's own pages; those of its files are the same.
    assert 57 < both.mib - alone.mib < 75
    assert both.seconds > 1
