"""Benchmarks: both sides in one run, interleaved, as ratios. `python -m benchmarks --help`."""
