"""Wider-or-Deeper Model A2 on ADE20K.

Run:     python train.py configs/segmentation/wide_resnet_a2_ade20k.py --workdir DIR \
             --init-from BACKBONE --init-skip "decoder/*" "head/*"
Expect:  43.7 % mIoU on val by the paper; not run here
Source:  Wu, Shen & van den Hengel, 2016, section 5.  The schedule is not published:
         that of `wide_resnet_a1_voc2012`, 32 rounds of these images
"""

import dataclasses

from configs.segmentation import wide_resnet_a1_voc2012
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = wide_resnet_a1_voc2012.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(
            parent.model,
            name="wide_resnet_a2_fcn",
            options={**parent.model.options, "num_classes": 150},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("ade20k:train",),
            evaluate=("ade20k:val",),
        ),
    )
