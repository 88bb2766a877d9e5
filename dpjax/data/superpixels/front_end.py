"""What a CRF over the superpixels of an image needs, in arrays of a static shape."""

import dataclasses

import numpy as np

from dpjax import errors
from dpjax.data.superpixels import features, graph, slic

# Superpixels for which programs are compiled, 768 being 480 x 640 by 20 x 20.
BUCKETS = (256, 512, 768, 1024)
EDGES = 3  # for each superpixel: a planar graph has fewer
_FORMAT = 1  # raise it when other arrays come of the same settings


@dataclasses.dataclass(frozen=True)
class Settings:
    """How images are cut.

    The paper limits the longer side first: indoor images to 640 pixels, with a size of
    20, outdoor ones to 600, with a size of 16.

    Attributes:
        size: distance of the seeds, pixels.
        regulariser: as for `slic.segment`.
        least: as for `slic.segment`.
        connected: as for `slic.segment`; False can have more edges than fit.
    """

    size: int = 20
    regulariser: float = 0.1
    least: int = 10
    connected: bool = True

    def version(self, image_size: tuple[int, int]) -> str:
        """Returns a key that differs wherever the arrays of an image could.

        Args:
            image_size: height and width, pixels.

        Returns:
            Text without blanks that can be part of a file name.
        """
        texture, histogram, colour = features.GAMMAS
        return (
            f"superpixels{_FORMAT}-size{self.size}-regulariser{self.regulariser:g}"
            f"-least{self.least}-{'connected' if self.connected else 'parts'}"
            f"-gamma{texture:g}-{histogram:g}-{colour:g}"
            f"-{image_size[0]}x{image_size[1]}"
        )


def bucket(image_size: tuple[int, int], settings: Settings, *, name: str) -> int:
    """Returns for how many superpixels there is room in the arrays of an image.

    It depends on nothing but the image's size, so images of one size make a batch.

    Args:
        image_size: height and width, pixels.
        settings: how it is cut.
        name: of the image, for the message.

    Returns:
        One of `BUCKETS`.

    Raises:
        UserError: the image has more superpixels than the largest.
    """
    rows, columns = slic.grid(image_size, settings.size)
    fitting = [count for count in BUCKETS if count >= rows * columns]
    if not fitting:
        height, width = image_size
        raise errors.UserError(
            f"{name} of {height} x {width} has up to {rows * columns} superpixels of "
            f"size {settings.size}; there is room for {BUCKETS[-1]}. Make the image "
            "smaller or the size larger."
        )
    return fitting[0]


def compute(image: np.ndarray, settings: Settings) -> dict[str, np.ndarray]:
    """Returns the superpixels of an image, as many as there are.

    Args:
        image: RGB, uint8 [h, w, 3].
        settings: how it is cut.

    Returns:
        regions, superpixel of each pixel, int32 [h, w]; edges, pairs that touch,
        int32 [e, 2]; similarities of these pairs, float32 [e, 3]; region_sizes,
        pixels, int32 [n]; region_centroids, row and column, float32 [n, 2].

    Raises:
        UserError: an image of another type.
    """
    regions = slic.segment(
        image,
        settings.size,
        regulariser=settings.regulariser,
        least=settings.least,
        connected=settings.connected,
    )
    edges, geometry = graph.adjacency(regions), graph.geometry(regions)
    alike = features.similarities(image, regions, geometry.box_centres, edges)
    return {
        "regions": regions,
        "edges": edges,
        "similarities": alike,
        "region_sizes": geometry.sizes,
        "region_centroids": geometry.centroids.astype(np.float32),
    }


def pad(
    arrays: dict[str, np.ndarray], count: int, *, name: str
) -> dict[str, np.ndarray]:
    """Returns the arrays of an image with room for `count` superpixels.

    Args:
        arrays: from `compute`.
        count: n, from `bucket`.
        name: of the image, for the message.

    Returns:
        The same names, n superpixels and 3 n edges; 0 where there is none, so padding
        edges are from superpixel 0 to itself, with similarities of 0.  Also
        region_valid, bool [n], and edge_valid, bool [3 n].

    Raises:
        UserError: there are more superpixels or edges.
    """
    room = {"region": count, "edge": EDGES * count}
    found = {"region": len(arrays["region_sizes"]), "edge": len(arrays["edges"])}
    for kind, most in room.items():
        if found[kind] > most:
            raise errors.UserError(
                f"{name} has {found[kind]} {kind}s of superpixels, and there is room "
                f"for {most}. Make superpixels larger, and connected."
            )
    padded = {"regions": arrays["regions"]}
    for key, kind in (
        ("edges", "edge"),
        ("similarities", "edge"),
        ("region_sizes", "region"),
        ("region_centroids", "region"),
    ):
        array = arrays[key]
        padded[key] = np.zeros((room[kind], *array.shape[1:]), array.dtype)
        padded[key][: len(array)] = array
    for kind, most in room.items():
        padded[f"{kind}_valid"] = np.arange(most) < found[kind]
    return padded
