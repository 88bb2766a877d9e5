"""RefineNet-101 on SUN RGB-D, 37 classes, RGB only.

Run:     python train.py configs/segmentation/refinenet101_sun_rgbd.py --workdir DIR \
             --init-from BACKBONE --init-skip "decoder/*" "head/*"
Expect:  45.7 % mIoU by the paper; not run here
Source:  Lin et al., CVPR 2017, whose chained pooling has two links that pool first.
         The released model has four that convolve first, as `refinenet152_pool4_nyudv2`
"""

import dataclasses

from configs.segmentation import refinenet101_voc2012
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = refinenet101_voc2012.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(
            parent.model,
            options={**parent.model.options, "num_classes": 37},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("sun_rgbd:train",),
            evaluate=("sun_rgbd:test",),
        ),
        optim=dataclasses.replace(parent.optim, drop_at=(26_666,)),
        total_steps=40_000,
    )
