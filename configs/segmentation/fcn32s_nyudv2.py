"""FCN-32s on NYUDv2, 40 classes, RGB only.

Scored is what `refinenet101_nyudv2` says; the authors score another part of the image.

Run:     python train.py configs/segmentation/fcn32s_nyudv2.py --workdir DIR \
             --init-from BACKBONE --init-skip "decoder/head/*"
         (VGG16 of ImageNet, as in `fcn32s_voc2012`)
Expect:  29.2 % mIoU, 60.0 % of the pixels by the paper; not run here
Source:  Long, Shelhamer & Darrell, CVPR 2015.  The length, 200 rounds of the 795
         images, is of this file
"""

import dataclasses

from configs.segmentation import fcn32s_voc2012
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = fcn32s_voc2012.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(
            parent.model,
            options={**parent.model.options, "num_classes": 40},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("nyudv2:train",),
            evaluate=("nyudv2:test",),
        ),
        total_steps=10_000,
    )
