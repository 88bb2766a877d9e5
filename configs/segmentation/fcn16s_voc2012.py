"""FCN-16s on PASCAL VOC 2012, continued from FCN-32s.

Run:     python train.py configs/segmentation/fcn16s_voc2012.py --workdir DIR \
             --init-from RUN_OF_FCN32S --init-skip "decoder/head_16/*"
Expect:  65.0 % mIoU on seg11valid by the authors; not run here
Source:  Long, Shelhamer & Darrell, CVPR 2015
"""

import dataclasses

from configs.segmentation import fcn32s_voc2012
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = fcn32s_voc2012.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(parent.model, name="fcn16s_vgg16"),
    )
