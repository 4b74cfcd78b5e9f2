"""The image store scored."""
