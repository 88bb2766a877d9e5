"""RefineNet-152 on NYUDv2.

Run:     python train.py configs/segmentation/refinenet152_nyudv2.py --workdir DIR \
             --init-from BACKBONE --init-skip "decoder/*" "head/*"
Expect:  46.5 % mIoU by the paper, several scales; not run here
Source:  Lin et al., CVPR 2017
"""

import dataclasses

from configs.segmentation import refinenet101_nyudv2
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = refinenet101_nyudv2.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(parent.model, name="refinenet152_official"),
    )
