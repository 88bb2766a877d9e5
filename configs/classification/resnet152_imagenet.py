"""ResNet-152 on ImageNet, as "Wider or Deeper" compares it.

Run:     python train.py configs/classification/resnet152_imagenet.py --workdir DIR
Source:  He et al., CVPR 2016; recipe of Wu, Shen & van den Hengel, 2016
"""

import dataclasses

from configs.classification import wide_resnet_a_imagenet
from dpjax.config import Experiment, Model


def get_config() -> Experiment:
    return dataclasses.replace(
        wide_resnet_a_imagenet.get_config(),
        model=Model("resnet152", {"zero_init": False}, "bfloat16"),
    )
