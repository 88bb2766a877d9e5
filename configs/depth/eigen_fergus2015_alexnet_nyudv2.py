"""The three scales of Eigen & Fergus (2015) on NYUv2, on AlexNet.

From scratch, weights of this AlexNet are not at hand; so all of it learns at one rate.

Run:     python train.py configs/depth/eigen_fergus2015_alexnet_nyudv2.py \
             --workdir TWO --model.options.scales 2
         python train.py configs/depth/eigen_fergus2015_alexnet_nyudv2.py \
             --workdir DIR \
             --init-from TWO --init-skip "decoder/scale3*" "decoder/head/*"
Expect:  not trained here; with VGG the paper has rel 0.158, rms 0.641
Source:  Eigen & Fergus, ICCV 2015
"""

import dataclasses

from configs.depth import eigen_fergus2015_vgg16_nyudv2
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = eigen_fergus2015_vgg16_nyudv2.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(parent.model, name="eigen_fergus2015_alexnet"),
        optim=dataclasses.replace(parent.optim, lr_factors={}),
    )
