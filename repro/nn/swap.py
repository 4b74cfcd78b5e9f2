"""Texture swapping of SRNTT (Zhang et al., CVPR 2019, Section 3.1): the best patch of all, and its texture.

Every 3 x 3 patch of the content's feature map is replaced by the reference's patch that fits it best by
normalised inner product; where patches overlap they are averaged. The search is exhaustive and exact.

The inner product of two patches is the sum of nine inner products of single positions. So the products of
all positions (one matrix product over the channels) are added up along their diagonals: a ninth of the
arithmetic of comparing whole patches. Both maps are walked through in bands of rows, so the working memory is
bounded by :data:`PRODUCTS`, or by three rows against three rows where those are more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from repro.core.errors import UserError

SIDE = 3
"""Of a patch, in positions of the coarsest map."""

PRODUCTS = 2**22
"""Products of positions that are held at a time (16 MiB in float32, and about twice that for their sums)."""


class Matches(NamedTuple):
    """The best reference patch of each content patch; (h - 2, w - 2) each.

    Attributes:
        patch: flat number over all references, row by row, one reference after the other.
        similarity: the normalised inner product, in [0, 1] for features after a ReLU; 0 for empty patches.
        sizes: (h, w) of each reference's map.
    """

    patch: Tensor
    similarity: Tensor
    sizes: tuple[tuple[int, int], ...]


@torch.no_grad()
def match(content: Tensor, references: Sequence[Tensor], products: int = PRODUCTS) -> Matches:
    """Finds the best patch of all references for each patch of the content.

    Patches of the references are divided by their length; of equal ones the first is taken. A patch of zeros
    fits nothing (the authors divide by its length all the same and get NaN, which wins every match).

    Args:
        content: (C, h, w) features.
        references: (C, h_i, w_i) features of each reference, as degraded as the content.
        products: bound of the working memory, as :data:`PRODUCTS`.

    Raises:
        UserError: no reference, or a map with fewer than 3 x 3 positions.
    """
    for maps in (content, *references):
        if min(maps.shape[1:]) < SIDE:
            raise UserError(
                f"a feature map of {maps.shape[2]} x {maps.shape[1]} positions",
                f"at least {SIDE} x {SIDE}: images of 12 x 12 pixels",
                "give a larger image as the reference",
            )
    if not references:
        raise UserError("no reference image", "one or more", "--reference FILE")
    height, width = content.shape[1] - 2, content.shape[2] - 2
    index = torch.zeros(height * width, dtype=torch.int64, device=content.device)
    best = torch.full((height * width,), -1.0, dtype=content.dtype, device=content.device)
    first = 0
    for reference in references:
        rows, columns = reference.shape[1] - 2, reference.shape[2] - 2
        inverse = _inverse_lengths(reference)
        per_row = content.shape[2] * reference.shape[2]
        here = _band(products / per_row, height, rows)
        there = max(1, min(rows, int(products / per_row / (here + 2)) - 2))
        for y in range(0, height, here):
            piece = slice(y * width, min(y + here, height) * width)
            band = content[:, y : y + here + 2]
            for v in range(0, rows, there):
                values = _patch_products(band, reference[:, v : v + there + 2]) * inverse[v : v + there]
                value, number = values.flatten(2).flatten(0, 1).max(1)
                better = value > best[piece]  # strictly: the first of equals stays
                best[piece] = torch.where(better, value, best[piece])
                index[piece] = torch.where(better, number + (first + v * columns), index[piece])
        first += rows * columns
    best = best.view(height, width).clamp_min(0) * _inverse_lengths(content)
    return Matches(index.view(height, width), best, tuple((r.shape[1], r.shape[2]) for r in references))


def _band(budget: float, height: int, rows: int) -> int:
    """Rows of a band of the content: bands of equal height on both sides waste least on their margins."""
    square = int(budget**0.5) - 2
    # a short reference leaves the content's bands more of the memory
    return max(1, min(height, max(square, int(budget / (rows + 2)) - 2)))


def _patch_products(band: Tensor, reference: Tensor) -> Tensor:
    """(a - 2, w - 2, b - 2, W - 2) inner products of the patches of (C, a, w) and (C, b, W) features."""
    shape = (*band.shape[1:], *reference.shape[1:])
    single = (band.flatten(1).T @ reference.flatten(1)).view(shape)
    along = single[:, :-2, :, :-2] + single[:, 1:-1, :, 1:-1]
    along += single[:, 2:, :, 2:]
    patches = along[:-2, :, :-2] + along[1:-1, :, 1:-1]
    patches += along[2:, :, 2:]
    return patches


def _inverse_lengths(maps: Tensor) -> Tensor:
    """(h - 2, w - 2): one over the length of each patch of (C, h, w) features, 0 for a patch of zeros."""
    squares = F.avg_pool2d(maps.square().sum(0)[None, None], SIDE, stride=1, divisor_override=1)[0, 0]
    return torch.where(squares > 0, squares.clamp_min(torch.finfo(maps.dtype).tiny).rsqrt(), 0)


def similar_enough(matches: Matches, least: float) -> Matches:
    """The matches of at least a similarity; every other patch is the content's own, of similarity 0.

    The content's own textures, at the same place, then stand behind those of the references.
    """
    height, width = matches.patch.shape
    behind = sum((rows - 2) * (columns - 2) for rows, columns in matches.sizes)
    own = torch.arange(behind, behind + height * width, device=matches.patch.device).view(height, width)
    similar = matches.similarity >= least
    return Matches(
        torch.where(similar, matches.patch, own),
        torch.where(similar, matches.similarity, 0),
        (*matches.sizes, (height + 2, width + 2)),
    )


def swapped(matches: Matches, textures: Sequence[Tensor], factor: int) -> Tensor:
    """The matched patches of the references' textures, laid where they match and averaged where they overlap.

    Args:
        matches: of the coarsest maps.
        textures: (C, factor * h_i, factor * w_i) of each reference, undegraded.
        factor: resolution of the textures over that of the matched maps: 1, 2 or 4.

    Returns:
        (C, factor * h, factor * w).

    Raises:
        ValueError: textures of other sizes than the matched maps say.
    """
    for texture, size in zip(textures, matches.sizes, strict=True):
        if texture.shape[1:] != (factor * size[0], factor * size[1]):
            raise ValueError(f"texture {tuple(texture.shape)} of a map of {size} positions at x{factor}")
    # a cell is what lies over one position of the coarsest map; a patch is 3 x 3 cells
    cells = torch.cat([F.pixel_unshuffle(t[None], factor)[0].flatten(1) for t in textures], 1).T.contiguous()
    corner, stride = _corners(matches)
    height, width = matches.patch.shape
    total = cells.new_zeros(height + 2, width + 2, cells.shape[1])
    for dy in range(SIDE):
        for dx in range(SIDE):
            cell = (corner + dy * stride + dx).flatten()
            total[dy : dy + height, dx : dx + width] += cells[cell].view(height, width, -1)
    total /= _overlaps(height, total).outer(_overlaps(width, total))[..., None]
    return F.pixel_shuffle(total.permute(2, 0, 1)[None], factor)[0]


def _corners(matches: Matches) -> tuple[Tensor, Tensor]:
    """The cell of each match's upper left corner, and how many cells further the next row is."""
    corner, stride = torch.zeros_like(matches.patch), torch.zeros_like(matches.patch)
    patches = cells = 0
    for rows, columns in matches.sizes:
        local = matches.patch - patches
        inside = (local >= 0) & (local < (rows - 2) * (columns - 2))
        y, x = local // (columns - 2), local % (columns - 2)
        corner = torch.where(inside, cells + y * columns + x, corner)
        stride = torch.where(inside, columns, stride)
        patches += (rows - 2) * (columns - 2)
        cells += rows * columns
    return corner, stride


def _overlaps(patches: int, like: Tensor) -> Tensor:
    """(patches + 2,): how many patches of a line lie over each position."""
    position = torch.arange(patches + 2, device=like.device)
    first, last = (position - 2).clamp_min(0), position.clamp_max(patches - 1)
    return (last - first + 1).to(like.dtype)


def similarity_map(matches: Matches) -> Tensor:
    """(h, w): the similarity at each position; the outermost positions take their neighbours'."""
    return F.pad(matches.similarity[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
