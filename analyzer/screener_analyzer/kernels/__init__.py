"""Core: the kernels: what each indicator computes, for all assets of a panel at once.

A kernel takes a panel and how many of the last rows are asked for, and returns one matrix (rows,
assets) an output. NaN is a right answer: the value is not defined there. Which rows have too few
bars is the engine's business (`minimum_bars`); a kernel only begins each asset at its own first
bar. By topic: `trend`, `momentum`, `volatility`, `volume`, `price`.
"""
