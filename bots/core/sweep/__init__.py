"""Sweeps: many parameter sets over the same candles in a float kernel, ranked, and the best verified exactly."""
