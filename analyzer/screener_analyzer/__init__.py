"""The analyzer: reads stored bars, computes the indicators of each asset's last bar, stores them.

`engine` (with `panel`, `rolling`, `carry`, `kernels`, `registry`, `reference`) and `computing` make
rows of stored `bars`, `extra` adds what a run names of `ta`, and `judge` computes a sample of the
rows a second time, which `verification` holds them against: values in, values out.
`store` and `worker` reach Postgres, `judge_process` a second process; `run` is the loop; `__main__`
is the program `screener-analyze`. It never fetches prices. `indicators(frame)` is for people with
pandas.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from screener_analyzer.frames import indicators

__all__ = ["indicators"]


def __getattr__(name: str) -> Any:
    # The program does without pandas, as what verifies is another: loading it takes long.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from screener_analyzer import frames

    return frames.indicators
