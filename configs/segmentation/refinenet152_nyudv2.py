"""RefineNet-152 on NYUDv2.

Run:     python train.py configs/segmentation/refinenet152_nyudv2.py --workdir DIR \
             --init-from BACKBONE --init-skip "decoder/*" "head/*"
         python evaluate.py --workdir DIR --protocol refinenet_scales
Expect:  46.5 % mIoU by the paper, several scales; not run here
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
            name="refinenet152_official",
            options={**parent.model.options, "num_classes": 40},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("nyudv2:train",),
            evaluate=("nyudv2:test",),
        ),
        optim=dataclasses.replace(parent.optim, drop_at=(13_333,)),
        total_steps=20_000,
    )
