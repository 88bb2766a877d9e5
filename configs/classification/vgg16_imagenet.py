"""VGG16 with batch normalisation on ImageNet, as "Wider or Deeper" compares it.

Run:     python train.py configs/classification/vgg16_imagenet.py \
             --workdir DIR
Source:  Simonyan & Zisserman, ICLR 2015;
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
        model=Model("vgg16_bn", compute_dtype="bfloat16"),
    )
