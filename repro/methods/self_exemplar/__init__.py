"""SelfExSR: super-resolution from an image's own smaller copies, without any training.

Source: Huang, Singh, Ahuja: Single Image Super-Resolution from Transformed Self-Exemplars, CVPR 2015, as the
authors' program computes it. Reading order: :mod:`.settings` (the constants), :mod:`.pyramid` (copies of the
image, ever smaller and ever larger), :mod:`.planes` (perspective), :mod:`.field` (for each pixel, where its
patch is taken from), :mod:`.search` (PatchMatch) on :mod:`.kernels` (compiled), :mod:`.upscale` (the whole).
"""
