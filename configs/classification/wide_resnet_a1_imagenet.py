"""Model A1 of "Wider or Deeper" on ImageNet: Model A, its pools turned into strides.

Run:     python train.py configs/classification/wide_resnet_a1_imagenet.py \
             --workdir DIR --init-from RUN_OF_MODEL_A
Source:  the authors' code: another 45,000 updates from Model A's weights
"""

import dataclasses

from configs.classification import wide_resnet_a_imagenet
from dpjax.config import Experiment, Model


def get_config() -> Experiment:
    parent = wide_resnet_a_imagenet.get_config()
    return dataclasses.replace(
        parent,
        model=Model("wide_resnet_a1", compute_dtype="bfloat16"),
        optim=dataclasses.replace(parent.optim, lr=0.01, end_lr=0.0),
        evaluation=dataclasses.replace(parent.evaluation, every_steps=5_000),
        total_steps=45_000,
    )
