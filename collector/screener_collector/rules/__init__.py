"""Core: the rules that hold of series, of a day's new bars and of whole bulk answers.

`model` has what they take and give and the rules' names, severities and numbers; `series` judges a
history, `day` the newest bars of many assets, `batch` an answer. Pure: no clock, environment, I/O.
"""
