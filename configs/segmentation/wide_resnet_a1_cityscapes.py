"""Wider-or-Deeper Model A1 on Cityscapes.

Run:     python train.py configs/segmentation/wide_resnet_a1_cityscapes.py \
             --workdir DIR --init-from BACKBONE --init-skip "decoder/*" "head/*"
Expect:  78.1 % mIoU on val by the authors; not run here
Source:  Wu, Shen & van den Hengel, 2016, section 5
"""

import dataclasses

from configs.segmentation import wide_resnet_a1_voc2012
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = wide_resnet_a1_voc2012.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(
            parent.model,
            options={**parent.model.options, "num_classes": 19},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("cityscapes:train",),
            evaluate=("cityscapes:val",),
        ),
    )
