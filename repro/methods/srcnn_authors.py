"""SRCNN's weights as its authors released them: a MATLAB file that is read as data and trusted in nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from repro.core.errors import UserError
from repro.data.matfile import reading_mat
from repro.data.sources import load_registry
from repro.methods.srcnn import SRCNNNetwork

SOURCE = "SRCNN-weights"
MAX_BYTES = 65_536
"""The file has 38 kB; whatever is larger is another one, and what it unpacks to stays bounded."""

_ARRAYS = {
    "weights_conv1": (81, 64),
    "biases_conv1": (64, 1),
    "weights_conv2": (64, 1, 32),
    "biases_conv2": (32, 1),
    "weights_conv3": (32, 25),
    "biases_conv3": (1, 1),
}


def authors_weights(data_root: Path) -> Path:
    """Where the data root has the file ``x4.mat`` of the model 9-1-5 (91 images)."""
    (file,) = (file for file in load_registry().select([SOURCE]).files if file.path.endswith("/x4.mat"))
    return file.under(data_root)


def load_authors_srcnn(path: Path) -> SRCNNNetwork:
    """The network with its authors' weights, in evaluation mode.

    In the file, kernels are columns (weights_conv1) or rows (weights_conv3), stored column by column, and
    are correlated with the image, not convolved.

    Raises:
        UserError: missing, damaged, too large, or other arrays than those of the model.
    """
    arrays = _read(path)
    kernels1 = arrays["weights_conv1"].T.reshape(64, 9, 9).transpose(0, 2, 1)
    kernels2 = arrays["weights_conv2"][:, 0, :].T
    kernels3 = arrays["weights_conv3"].reshape(32, 5, 5).transpose(0, 2, 1)
    state = {
        "conv1.weight": kernels1[:, None],
        "conv2.weight": kernels2[:, :, None, None],
        "conv3.weight": kernels3[None],
    }
    state |= {f"conv{layer}.bias": arrays[f"biases_conv{layer}"].ravel() for layer in (1, 2, 3)}
    network = SRCNNNetwork()
    network.load_state_dict({k: torch.from_numpy(v.astype(np.float32)) for k, v in state.items()})
    return network.eval().requires_grad_(False)


def _read(path: Path) -> dict[str, NDArray[np.float64]]:
    import scipy.io

    expected = f"SRCNN 9-1-5 by its authors: {', '.join(_ARRAYS)} as doubles"
    if not path.is_file():
        raise UserError(f"{path}: no such file", expected, f"python -m repro data fetch --only {SOURCE}")
    with reading_mat(path, MAX_BYTES, expected):
        declared = {name: (shape, kind) for name, shape, kind in scipy.io.whosmat(path)}
        if declared != {name: (shape, "double") for name, shape in _ARRAYS.items()}:
            raise UserError(f"{path}: holds {sorted(declared)}", expected, "get it again")
        loaded: dict[str, Any] = scipy.io.loadmat(path, variable_names=list(_ARRAYS))
    arrays = {name: np.asarray(loaded.get(name)) for name in _ARRAYS}
    for name, shape in _ARRAYS.items():
        array = arrays[name]
        if array.shape != shape or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise UserError(f"{path}: {name} is {array.dtype} {array.shape}", expected, "get it again")
    return arrays
