"""Trained networks as functions from images to images, and the image store."""
