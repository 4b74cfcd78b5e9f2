"""Benchmarks: each module measures one stage against a plain baseline in the same run."""
