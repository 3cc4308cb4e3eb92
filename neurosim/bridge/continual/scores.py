"""What is left of the tasks: average accuracy and backward transfer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from neurosim.errors import ParameterError


def _matrix(accuracy: npt.ArrayLike) -> np.ndarray:
    matrix = np.asarray(accuracy, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ParameterError(
            f"the accuracies have shape {matrix.shape}; a square matrix is needed: row k, column "
            "j is the accuracy on task j after training task k."
        )
    return matrix


def average_accuracy(accuracy: npt.ArrayLike) -> float:
    """Return the mean accuracy over all tasks after the last one (ACC).

    Parameters
    ----------
    accuracy : (n_tasks, n_tasks)
        Row k, column j: accuracy on task j after training task k.

    Raises
    ------
    ParameterError
        If the matrix is not square.

    Examples
    --------
    >>> average_accuracy([[90, 0], [80, 92]])
    86.0
    """
    return float(_matrix(accuracy)[-1].mean())


def backward_transfer(accuracy: npt.ArrayLike) -> float:
    """Return the mean change of earlier tasks since they were trained (BWT); negative: forgetting.

    Parameters
    ----------
    accuracy : (n_tasks, n_tasks)
        As in `average_accuracy`; 0 is returned for a single task.

    Raises
    ------
    ParameterError
        If the matrix is not square.

    Examples
    --------
    >>> backward_transfer([[90, 0], [80, 92]])
    -10.0
    """
    matrix = _matrix(accuracy)
    if len(matrix) == 1:
        return 0.0
    return float((matrix[-1] - np.diag(matrix))[:-1].mean())
