"""Benchmarks: `lotwise bench NAME` prints one JSON object per figure and line. Never part of the tests' verdict."""
