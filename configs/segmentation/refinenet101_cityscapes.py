"""RefineNet-101 on Cityscapes.

Run:     python train.py configs/segmentation/refinenet101_cityscapes.py --workdir DIR \
             --init-from BACKBONE --init-skip "decoder/*" "head/*"
         python evaluate.py --workdir DIR --protocol refinenet_cityscapes
Expect:  73.6 % mIoU on test by the paper; not run here
Source:  Lin et al., CVPR 2017, whose chained pooling has two links that pool first.
         The released model has four (--model.options.pooling-stages 4)
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
            options={**parent.model.options, "num_classes": 19},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("cityscapes:train",),
            evaluate=("cityscapes:val",),
            crop=(600, 600),
        ),
    )
