"""Benchmarks: medians of several runs, as ratios against a plain baseline in the same run."""
