"""A bench that is ended from outside leaves neither its Postgres nor its folder behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from screener_local.background import ProcessIdentity

pytestmark = pytest.mark.integration

BENCH = """
import signal, sys, time, types
# As of a terminal, whatever these tests are run by.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from screener_local import bench
from screener_local.bench.systems import database

def measure():
    with database():
        print("measuring", flush=True)
        time.sleep(600)
        yield

topic = types.ModuleType("screener_local.bench.asleep")
topic.NAMES, topic.measure = ("asleep_s",), measure
sys.modules[topic.__name__] = topic
bench.TOPICS = ("asleep",)
sys.exit(bench.main())
"""


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGTERM, 130, id="told to end"),
        pytest.param(signal.SIGHUP, 130, id="its terminal has gone"),
        pytest.param(signal.SIGKILL, -9, id="killed"),
    ],
)
def test_a_bench_that_is_ended_leaves_nothing(number: int, code: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        bench = subprocess.Popen(
            [sys.executable, "-c", BENCH],
            env=os.environ | {"TMPDIR": name},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert bench.stdout is not None
        assert bench.stdout.readline() == "measuring\n"
        (record,) = folder.glob("screener-bench-*/run/postgres.json")
        postgres = ProcessIdentity(**json.loads(record.read_text()))
        assert postgres.alive()

        bench.send_signal(number)

        assert bench.wait(120) == code
        bench.stdout.close()
        deadline = time.monotonic() + 120
        while postgres.alive() or list(folder.iterdir()):
            assert time.monotonic() < deadline, f"left: {postgres} {list(folder.iterdir())}"
            time.sleep(0.05)
