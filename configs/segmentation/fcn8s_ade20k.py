"""FCN-8s on ADE20K.

Run:     python train.py configs/segmentation/fcn8s_ade20k.py --workdir DIR \
             --init-from RUN_OF_FCN16S --init-skip "decoder/head_8/*"
         (before it FCN-32s and FCN-16s of this set: this file with
         --model.name fcn32s_vgg16 and fcn16s_vgg16, begun as `fcn32s_voc2012` and
         `fcn16s_voc2012` are)
Expect:  29.4 % mIoU by the benchmark's paper; not run here
Source:  Long, Shelhamer & Darrell, CVPR 2015; Zhou et al., CVPR 2017.  The length,
         63 rounds of the images, is of this file
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
            options={**parent.model.options, "num_classes": 150},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("ade20k:train",),
            evaluate=("ade20k:val",),
        ),
        total_steps=80_000,
    )
