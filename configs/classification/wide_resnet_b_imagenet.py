"""Model B of "Wider or Deeper" on ImageNet: 20 layers.

Run:     python train.py configs/classification/wide_resnet_b_imagenet.py --workdir DIR
Source:  Wu, Shen & van den Hengel, 2016, Table 1; trained as Model A
"""

import dataclasses

from configs.classification import wide_resnet_a_imagenet
from dpjax.config import Experiment, Model


def get_config() -> Experiment:
    return dataclasses.replace(
        wide_resnet_a_imagenet.get_config(),
        model=Model("wide_resnet_b", compute_dtype="bfloat16"),
    )
