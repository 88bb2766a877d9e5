"""Inception-ResNet-v2 on ImageNet, as "Wider or Deeper" compares it.

Run:     python train.py configs/classification/inception_resnet_v2_imagenet.py \
             --workdir DIR
Source:  Szegedy et al., AAAI 2017;
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
        model=Model("inception_resnet_v2", compute_dtype="bfloat16"),
        task=dataclasses.replace(parent.task, side=299),
        data=dataclasses.replace(parent.data, crop=(299, 299)),
    )
