"""Runs the whole platform as one supervised group of processes."""
