"""Wider-or-Deeper Model A2 on Cityscapes.

Run:     python train.py configs/segmentation/wide_resnet_a2_cityscapes.py \
             --workdir DIR --init-from BACKBONE --init-skip "decoder/*" "head/*"
         and once more from it, as `wide_resnet_a1_cityscapes` says
Expect:  78.4 % mIoU on test by the authors; not run here
Source:  Wu, Shen & van den Hengel, 2016, section 5
"""

import dataclasses

from configs.segmentation import wide_resnet_a1_cityscapes
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = wide_resnet_a1_cityscapes.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(parent.model, name="wide_resnet_a2_fcn"),
    )
