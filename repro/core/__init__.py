"""Errors, atomic writes, random streams, paths, manifests, progress and devices: knows nothing of images."""
