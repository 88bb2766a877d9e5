"""Model C of "Wider or Deeper" on ImageNet: 42 layers for 112 pixels.

Run:     python train.py configs/classification/wide_resnet_c_imagenet.py --workdir DIR
Source:  Wu, Shen & van den Hengel, 2016, Table 1; trained as Model A
"""

import dataclasses

from configs.classification import wide_resnet_a_imagenet
from dpjax.config import Experiment, Model
from dpjax.tasks.classification import Classification


def get_config() -> Experiment:
    parent = wide_resnet_a_imagenet.get_config()
    return dataclasses.replace(
        parent,
        task=Classification(side=112),
        model=Model("wide_resnet_c", compute_dtype="bfloat16"),
        data=dataclasses.replace(parent.data, crop=(112, 112)),
    )
