"""Rows of a sample are held against what the judge computes, here and in a process of its own."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from screener_analyzer import judge
from screener_analyzer.judge_process import JudgeLost, JudgeProcess
from screener_analyzer.verification import Mismatch, Sampled, verified

DAY = date(2024, 1, 2)


def sampled(**changed: float | None) -> Sampled:
    """A row as it should be, apart from what is changed."""
    random = np.random.default_rng(1)
    close = 50 + random.normal(0, 1, 300).cumsum()
    values = np.stack([close, close + 1, close - 1, close, close, close * 100], axis=1)
    splits, dates = np.ones(300), np.arange(8_000, 8_300, dtype=np.int32)
    history = judge.History.of(values, splits, dates, minor_units=1.0)
    right = {
        column: None if value is judge.UNDECIDED else value
        for column, value in judge.judged(history).items()
    }
    return Sampled("SAN.MC", DAY, right | changed, dates, values, splits, minor_units=1.0)


def test_rows_that_the_judge_agrees_with_deviate_by_little() -> None:
    assert verified([sampled(), sampled()], "all") == 0
    rsi = sampled().values["rsi_14"]
    assert rsi is not None
    assert verified([sampled(), sampled(rsi_14=rsi + 1e-5)], "all") == pytest.approx(1e-7)


@pytest.mark.parametrize(
    ("changed", "said", "deviation"),
    [
        ({"rsi_14": 99.0}, "rsi_14 is 99.0, should be ", None),
        ({"adx": None}, "adx is None, should be ", math.inf),
        ({"sma_50": math.nan}, "sma_50 is nan, should be ", math.inf),
        ({"return_12m": 0.0}, "return_12m is 0.0, should be None", math.inf),
        ({"macd_fall_bars": 3.0}, "macd_fall_bars is 3.0, should be ", None),
    ],
    ids=["another value", "NULL for a value", "not a number", "a guess", "another day"],
)
def test_a_row_that_the_judge_does_not_agree_with_is_named(
    changed: dict[str, float | None], said: str, deviation: float | None
) -> None:
    with pytest.raises(Mismatch) as caught:
        verified([sampled(), sampled(**changed)], "all")
    assert caught.value.message.startswith("indicators of SAN.MC on 2024-01-02 differ: ")
    assert said in caught.value.message
    assert caught.value.deviation > 1e-6
    assert deviation is None or caught.value.deviation == deviation


@pytest.fixture(scope="module")
def process() -> Iterator[JudgeProcess]:
    with JudgeProcess.started() as started:
        yield started


def test_a_process_of_its_own_says_the_same(process: JudgeProcess) -> None:
    rsi = sampled().values["rsi_14"]
    assert rsi is not None
    sample = [sampled(), sampled(rsi_14=rsi + 1e-5)]
    assert process.verified(sample, "all") == verified(sample, "all") > 0
    with pytest.raises(Mismatch) as here:
        verified([sampled(rsi_14=99.0)], "all")
    with pytest.raises(Mismatch) as there:
        process.verified([sampled(rsi_14=99.0)], "all")
    assert (there.value.message, there.value.deviation) == (
        here.value.message, here.value.deviation,
    )  # fmt: skip
    assert process.verified([sampled()], "all") == 0, "it goes on after a mismatch"
    assert process.verified([], "all") == 0


def test_each_of_two_threads_is_told_of_its_own_rows(process: JudgeProcess) -> None:
    rsi = sampled().values["rsi_14"]
    assert rsi is not None
    samples = [[sampled(rsi_14=rsi + n * 1e-6)] for n in range(8)]
    with ThreadPoolExecutor(2) as threads:
        said = list(threads.map(lambda sample: process.verified(sample, "all"), samples))
    assert said == [verified(sample, "all") for sample in samples]
    assert len(set(said)) == len(samples)


def test_a_process_that_is_gone_verifies_nothing() -> None:
    with JudgeProcess.started() as process:
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(JudgeLost, match="verifies indicators ended with -9"):
            process.verified([sampled()], "all")
        with pytest.raises(JudgeLost):
            process.verified([sampled()], "all")


def test_a_process_that_cannot_verify_says_why_and_ends(capfd: pytest.CaptureFixture[str]) -> None:
    with (
        JudgeProcess.started() as process,
        pytest.raises(JudgeLost, match=f"ended with {os.EX_SOFTWARE}"),
    ):
        process.verified([sampled(no_such_column=1.0)], "all")
    said = capfd.readouterr().err
    assert "verifying failed" in said
    assert "no_such_column" in said


def test_it_does_not_know_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://name:password@host/db")
    with JudgeProcess.started() as process:
        process.verified([sampled()], "all")
        its = Path(f"/proc/{process.pid}/environ").read_bytes()
    assert b"PATH=" in its
    assert b"password" not in its


PROGRAM = """
import time
from screener_analyzer.judge_process import JudgeProcess
with JudgeProcess.started() as process:
    print(process.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_program(number: signal.Signals) -> None:
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    pid = int(program.stdout.readline())
    assert is_running(pid)
    program.send_signal(number)
    program.communicate()
    end = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < end, "it goes on"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
