"""FCN-8s on PASCAL VOC 2012, continued from FCN-16s.

Run:     python train.py configs/segmentation/fcn8s_voc2012.py --workdir DIR \
             --init-from RUN_OF_FCN16S --init-skip "decoder/head_8/*"
Expect:  65.5 % mIoU on seg11valid by the authors; not run here
Source:  Long, Shelhamer & Darrell, CVPR 2015
"""

import dataclasses

from configs.segmentation import fcn32s_voc2012
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = fcn32s_voc2012.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(parent.model, name="fcn8s_vgg16"),
    )
