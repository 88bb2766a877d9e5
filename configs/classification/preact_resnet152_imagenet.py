"""Pre-activation ResNet-152 on ImageNet, as "Wider or Deeper" compares it.

Run:     python train.py configs/classification/preact_resnet152_imagenet.py \
             --workdir DIR
Source:  He et al., ECCV 2016;
         recipe of Wu, Shen & van den Hengel, 2016, not that of its own paper.  Not run
         here
"""

import dataclasses

from configs.classification import wide_resnet_a_imagenet
from dpjax.config import Experiment, Model


def get_config() -> Experiment:
    parent = wide_resnet_a_imagenet.get_config()
    return dataclasses.replace(
        parent,
        model=Model("preact_resnet152", compute_dtype="bfloat16"),
    )
