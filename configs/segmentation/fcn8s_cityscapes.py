"""FCN-8s on Cityscapes.

Run:     python train.py configs/segmentation/fcn8s_cityscapes.py --workdir DIR \
             --init-from RUN_OF_FCN16S --init-skip "decoder/head_8/*"
         (before it FCN-32s and FCN-16s of this set: this file with
         --model.name fcn32s_vgg16 and fcn16s_vgg16, begun as `fcn32s_voc2012` and
         `fcn16s_voc2012` are)
Expect:  65.3 % mIoU on test by the benchmark's paper; not run here
Source:  Long, Shelhamer & Darrell, CVPR 2015; Cordts et al., CVPR 2016.  The length,
         107 rounds of the images, is of this file
"""

import dataclasses

from configs.segmentation import fcn8s_voc2012
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = fcn8s_voc2012.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(
            parent.model,
            options={**parent.model.options, "num_classes": 19},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("cityscapes:train",),
            evaluate=("cityscapes:val",),
        ),
        total_steps=20_000,
    )
