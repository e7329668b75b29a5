"""The drift report: a run's day beside its replay, every difference with its cause and its money."""
