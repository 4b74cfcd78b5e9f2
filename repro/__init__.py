"""SRGAN (Ledig et al., CVPR 2017) and the systems after it: from configuration to metrics.

Reading order: :mod:`repro.papers.srgan` (the paper as data), :mod:`repro.methods.srgan` (Figure 4, the five
variants), :mod:`repro.nn.losses` (equations 3 to 6), :mod:`repro.train` (one loop for every method),
:mod:`repro.inference.store` (images on disk), :mod:`repro.metrics.score` (the paper's protocol), then
``analysis``. Stages hand over by files; imports point downwards through :data:`LAYERS`.
"""

__version__ = "0.1.0"

LAYERS = (
    "core",
    "imaging",
    "papers",
    "metrics",
    "data",
    "nn",
    "methods",
    "train",
    "inference",
    "evaluation",
    "experiments",
    "cli",
)
"""The folders, lowest first; a module imports from its own folder and from those before it."""
