"""Light-weight RefineNet on MobileNet-v2, PASCAL VOC 2012.

Run:     python train.py configs/segmentation/refinenet_lw_mobilenet_v2_voc2012.py \
             --workdir DIR --init-from BACKBONE --init-skip "decoder/*" "head/*"
Expect:  76.2 % mIoU on val by the paper, with MS-COCO; not run here
Source:  Nekrasov et al., BMVC 2018.  The first unit is that of torchvision's weights,
         without the 1x1 convolution that the authors' begins with
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
            name="refinenet_lw_mobilenet_v2",
            options={**parent.model.options, "expands_first": False},
        ),
    )
