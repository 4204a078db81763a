"""The analyzer: reads stored bars, computes the indicators of each asset's last bar, stores them.

`engine` (with `panel`, `rolling`, `carry`, `kernels`, `registry`, `reference`) and `computing` make
rows of stored `bars`, and `judge` computes a sample of them a second time: values in, values out.
`store` and `worker` reach Postgres; `run` is the loop; `__main__` is the program
`screener-analyze`. It never fetches prices. `indicators(frame)` is for people with pandas.
"""

from screener_analyzer.frames import indicators

__all__ = ["indicators"]
