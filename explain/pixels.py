"""Parts of pictures that count as one feature: the cells of a grid, or patches of like colour."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepseek.errors import DeepseekError

Groups = NDArray[np.int64]

COLOUR_COMPACTNESS, GRAY_COMPACTNESS = 10.0, 0.1
"""How square superpixels are rather than of one shade; colours reach to 100, shades of gray to 1."""


def grid(shape: Sequence[int], rows: int, columns: int) -> Groups:
    """Divide pictures into a grid, whose cells are the features: ``groups`` for ``explain.shap``.

    Args:
        shape: Of one picture, ``(H, W)`` or ``(C, H, W)``; channels belong together.
        rows: Cells below each other; where they do not divide the height, some are a pixel higher.
        columns: Cells beside each other.

    Returns:
        Number of the cell of every element, counted along the rows, in the given shape.

    Raises:
        DeepseekError: The grid does not fit the picture.
    """
    height, width = _picture(shape)
    if not 1 <= rows <= height or not 1 <= columns <= width:
        raise DeepseekError(
            f"A picture of {height} × {width} pixels has 1 to {height} rows and 1 to {width} columns, not "
            f"{rows} and {columns}."
        )
    down = np.arange(height) * rows // height
    across = np.arange(width) * columns // width
    return np.broadcast_to(down[:, None] * columns + across, tuple(shape)).astype(np.int64)


def superpixels(image: Any, count: int) -> Groups:
    """Divide a picture into patches of like colour, which are the features: ``groups`` for ``explain.shap``.

    Args:
        image: One picture, ``[H, W]`` or ``[C, H, W]``, tensor or array. Of several pictures, stack the results.
        count: About how many patches.

    Returns:
        Number of the patch of every element, in the shape of the picture.

    Raises:
        DeepseekError: This is no picture, or scikit-image is not installed.

    Source: Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods", TPAMI 34, 2012.
    """
    try:
        from skimage.segmentation import slic
    except ImportError as error:
        raise DeepseekError("`superpixels` needs scikit-image: pip install scikit-image") from error
    pixels = np.asarray(image.detach().cpu() if hasattr(image, "detach") else image, np.float64)
    height, width = _picture(pixels.shape)
    if not np.isfinite(pixels).all():
        raise DeepseekError("The picture has pixels that are no finite numbers.")
    if not 1 <= count <= height * width:
        raise DeepseekError(f"`count` must be between 1 and the {height * width} pixels, not {count}.")
    found = slic(
        pixels[..., None] if pixels.ndim == 2 else np.moveaxis(pixels, 0, -1),
        n_segments=count,
        compactness=COLOUR_COMPACTNESS if pixels.ndim == 3 and len(pixels) == 3 else GRAY_COMPACTNESS,
        channel_axis=-1,
        start_label=0,
    )
    numbers = np.unique(found, return_inverse=True)[1].reshape(height, width)
    return np.broadcast_to(numbers, pixels.shape).astype(np.int64)


def _picture(shape: Sequence[int]) -> tuple[int, int]:
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise DeepseekError(f"A picture has the shape (H, W) or (C, H, W), not {tuple(shape)}.")
    return int(shape[-2]), int(shape[-1])
