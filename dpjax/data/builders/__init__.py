"""The table of data sets: a name, the builder that prepares it, and nothing imported.

A new data set is a builder class and one line here.
"""

import importlib

from dpjax import errors

TABLE: dict[str, str] = {
    "photos": "dpjax.data.builders.photos:Photos",
    "image_folder": "dpjax.data.builders.image_folder:ImageFolder",
    "class_folder": "dpjax.data.builders.class_folder:ClassFolder",
    "mask_folder": "dpjax.data.builders.mask_folder:MaskFolder",
    "imagenet2012": "dpjax.data.builders.imagenet:Imagenet2012",
    "bsds500": "dpjax.data.builders.restoration:Bsds500",
    "t91": "dpjax.data.builders.restoration:T91",
    "set5": "dpjax.data.builders.restoration:Set5",
    "set12": "dpjax.data.builders.restoration:Set12",
    "set14": "dpjax.data.builders.restoration:Set14",
    "bsd68": "dpjax.data.builders.restoration:Bsd68",
    "classic5": "dpjax.data.builders.restoration:Classic5",
    "live1": "dpjax.data.builders.restoration:Live1",
    "urban100": "dpjax.data.builders.restoration:Urban100",
    "div2k": "dpjax.data.builders.restoration:Div2k",
    "train400": "dpjax.data.builders.restoration:Train400",
    "camvid": "dpjax.data.builders.camvid:Camvid",
    "voc2012": "dpjax.data.builders.voc:Voc2012",
    "person_part": "dpjax.data.builders.voc:PersonPart",
    "pascal_context": "dpjax.data.builders.pascal_context:PascalContext",
    "cityscapes": "dpjax.data.builders.cityscapes:Cityscapes",
    "ade20k": "dpjax.data.builders.ade20k:Ade20k",
    "nyudv2": "dpjax.data.builders.indoor:Nyudv2",
    "sun_rgbd": "dpjax.data.builders.indoor:SunRgbd",
    "nyudv2_depth": "dpjax.data.builders.indoor_depth:Nyudv2Depth",
    "make3d": "dpjax.data.builders.make3d:Make3d",
    "kitti_eigen": "dpjax.data.builders.kitti:KittiEigen",
    "diw": "dpjax.data.builders.diw:Diw",
    "nyudv2_ordinal": "dpjax.data.builders.nyu_ordinal:Nyudv2Ordinal",
    "stereo_folder": "dpjax.data.builders.stereo_folder:StereoFolder",
    "stereo_video": "dpjax.data.builders.stereo_video:StereoVideo",
    "rgbd_folder": "dpjax.data.builders.rgbd_folder:RgbdFolder",
    "stereo_pairs": "dpjax.data.builders.stereo_pairs:StereoPairs",
}


def find(name: str) -> type:
    """Returns the builder class of a data set.

    Args:
        name: a key of `TABLE`.

    Returns:
        A subclass of `dpjax.data.builders.image_set.ImageSet`.

    Raises:
        UserError: no data set has that name.
    """
    if name not in TABLE:
        raise errors.unknown_name("data set", name, TABLE)
    module, class_name = TABLE[name].split(":")
    return getattr(importlib.import_module(module), class_name)
