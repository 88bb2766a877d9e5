"""RefineNet-101 on PASCAL-Context, 59 classes and background.

Run:     python train.py configs/segmentation/refinenet101_pascal_context.py \
             --workdir DIR --init-from BACKBONE --init-skip "decoder/*" "head/*"
Expect:  47.1 % mIoU by the paper; not run here
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
            options={**parent.model.options, "num_classes": 60},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("pascal_context:train",),
            evaluate=("pascal_context:val",),
        ),
    )
