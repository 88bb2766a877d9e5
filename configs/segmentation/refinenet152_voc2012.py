"""RefineNet-152 on PASCAL VOC 2012.

Run:     python train.py configs/segmentation/refinenet152_voc2012.py --workdir DIR \
             --init-from BACKBONE --init-skip "decoder/*" "head/*"
         python evaluate.py --workdir DIR --protocol refinenet_scales_crf
Expect:  83.4 % mIoU on test by the paper, with MS-COCO; not run here
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
        model=dataclasses.replace(parent.model, name="refinenet152_official"),
    )
