"""The training engine: one loop for the five variants.

``batches`` says which crops batch k holds, ``step`` is one update of the paper's equations, ``loop`` repeats
it with validation, logs and checkpoints, ``run`` prepares everything for it.
"""
