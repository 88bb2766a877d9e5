"""RefineNet-152 on SUN RGB-D.

Run:     python train.py configs/segmentation/refinenet152_sun_rgbd.py --workdir DIR \
             --init-from BACKBONE --init-skip "decoder/*" "head/*"
Expect:  45.9 % mIoU by the paper; not run here
Source:  Lin et al., CVPR 2017
"""

import dataclasses

from configs.segmentation import refinenet101_sun_rgbd
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = refinenet101_sun_rgbd.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(parent.model, name="refinenet152_official"),
    )
