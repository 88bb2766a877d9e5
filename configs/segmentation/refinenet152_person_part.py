"""RefineNet-152 on PASCAL Person-Part.

Run:     python train.py configs/segmentation/refinenet152_person_part.py \
             --workdir DIR --init-from BACKBONE --init-skip "decoder/*" "head/*"
Expect:  68.8 % mIoU by the paper, several scales; not run here
Source:  Lin et al., CVPR 2017
"""

import dataclasses

from configs.segmentation import refinenet101_person_part
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = refinenet101_person_part.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(parent.model, name="refinenet152_official"),
    )
