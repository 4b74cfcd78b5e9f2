"""SRGAN (Ledig et al., CVPR 2017) reproduced: from configuration to metrics.

Reading order: :mod:`repro.paper` (the paper as data), :mod:`repro.variants` (the five variants),
:mod:`repro.losses` (equations 3 to 6), :mod:`repro.train` (one loop for all of them),
:mod:`repro.upscale` (images on disk), :mod:`repro.score` (the paper's protocol), then
``analysis.tables``. Stages hand over by files and never call each other; imports point downwards.
"""

__version__ = "0.1.0"
