"""Depth as one of 100 bins on NYUv2: ResNet-152, otherwise as `cls_resnet101_nyudv2`.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/cls_resnet152_nyudv2.py --workdir DIR \
             --init-from resnet152.safetensors --init-skip "decoder/*" "head/*"
Expect:  not trained here
Source:  Cao, Wu & Shen, TCSVT 2018; Silberman et al., ECCV 2012
"""

import dataclasses

from configs.depth import cls_resnet101_nyudv2
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = cls_resnet101_nyudv2.get_config()
    return dataclasses.replace(
        parent, model=dataclasses.replace(parent.model, name="cls_resnet152")
    )
