"""Comparisons of settings and of speed."""
