"""Light-weight RefineNet-152 on PASCAL VOC 2012.

Run:     python train.py configs/segmentation/refinenet_lw152_voc2012.py --workdir DIR \
             --init-from BACKBONE --init-skip "decoder/*" "head/*"
Expect:  82.1 % mIoU on val by the paper, with MS-COCO; not run here
Source:  Nekrasov et al., BMVC 2018
"""

import dataclasses

from configs.segmentation import refinenet_lw50_voc2012
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = refinenet_lw50_voc2012.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(parent.model, name="refinenet_lw152"),
    )
