"""Wider-or-Deeper Model A2 on PASCAL-Context, 59 classes and background.

Run:     python train.py configs/segmentation/wide_resnet_a2_pascal_context.py \
             --workdir DIR --init-from BACKBONE --init-skip "decoder/*" "head/*"
Expect:  48.1 % mIoU, 75.0 % of the pixels by the paper; not run here
Source:  Wu, Shen & van den Hengel, 2016, section 5.  The schedule is not published:
         that of `wide_resnet_a1_voc2012`, 128 rounds of these images
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
            name="wide_resnet_a2_fcn",
            options={**parent.model.options, "num_classes": 60},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("pascal_context:train",),
            evaluate=("pascal_context:val",),
        ),
    )
