"""RefineNet-152 on ADE20K.

Run:     python train.py configs/segmentation/refinenet152_ade20k.py --workdir DIR \
             --init-from BACKBONE --init-skip "decoder/*" "head/*"
Expect:  40.7 % mIoU by the paper; not run here
Source:  Lin et al., CVPR 2017
"""

import dataclasses

from configs.segmentation import refinenet101_ade20k
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = refinenet101_ade20k.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(parent.model, name="refinenet152_official"),
    )
