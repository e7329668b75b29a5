"""The proof of the order protocol: real kills at every crash point, an exchange with books of its own, and mutants."""
