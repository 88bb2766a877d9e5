"""Make3D: outdoor scenes with coarse laser depth."""

from typing import ClassVar

from dpjax.data import depth_files
from dpjax.data.builders import depth_maps, layouts

# The laser gives metres, up to 81 and a little.
_METRES = depth_files.Unit(per_metre=1)


class Make3d(depth_maps.DepthMaps, skip_registration=True):
    """Outdoor scenes with coarse laser depth: Make3D, 400 to train on, 134 to test.

    Read are the publishers' archives, unpacked side by side: Train400Img and
    Train400Depth, Test134 and Gridlaserdata (or Test134Depth/Gridlaserdata), pictures
    of 2272x1704 pixels and MATLAB files of 55x305 distances, which cover the view of
    their picture.  Records keep both sizes.  A picture or two of the test archive are
    known to be cut off at the end; --skip-bad leaves them out, and says so.
    """

    source: ClassVar[str] = "Saxena et al., PAMI 2009"
    counts: ClassVar = {"train": 400, "test": 134}
    own_size: ClassVar = {"depth": (55, 305)}
    published: ClassVar = (
        layouts.Layout(
            {
                "train": layouts.Place(
                    "Train400Img/img-{}", ("Train400Depth/depth_sph_corr-{}",)
                ),
                "test": layouts.Place(
                    "Test134/img-{}",
                    (
                        "Gridlaserdata/depth_sph_corr-{}",
                        "Test134/Gridlaserdata/depth_sph_corr-{}",
                        "Test134Depth/Gridlaserdata/depth_sph_corr-{}",
                    ),
                ),
            },
            _METRES,
        ),
    )
