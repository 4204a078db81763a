"""The analyzer: reads stored bars, computes the indicators of each asset's last bar, stores them.

`engine` (with `panel`, `rolling`, `carry`, `kernels`, `registry`, `reference`) and `series` and
`compute` are values in, values out; `store` and `worker` reach
Postgres; `run` is the loop; `__main__` is the program `screener-analyze`. It never fetches prices.
"""
