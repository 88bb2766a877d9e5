"""Light-weight RefineNet-101 on PASCAL-Context, 59 classes and background.

Run:     python train.py configs/segmentation/refinenet_lw101_pascal_context.py \
             --workdir DIR --init-from BACKBONE --init-skip "decoder/*" "head/*"
Expect:  45.1 % mIoU by the paper; not run here
Source:  Nekrasov et al., BMVC 2018
"""

import dataclasses

from configs.segmentation import refinenet_lw50_voc2012
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = refinenet_lw50_voc2012.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(
            parent.model,
            name="refinenet_lw101",
            options={**parent.model.options, "num_classes": 60},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("pascal_context:train",),
            evaluate=("pascal_context:val",),
        ),
    )
