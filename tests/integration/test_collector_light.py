"""What a group's worker brings into memory before it asks for anything."""

import subprocess
import sys


def test_a_groups_worker_starts_without_pandas_and_calendars() -> None:
    """They are the preflight's, and cost half a second and 60 MiB in each of the other Jobs."""
    answer = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, screener_collector.__main__;"
            " print(sorted({'pandas', 'exchange_calendars'} & sys.modules.keys()))",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert answer.stdout.strip() == "[]"
