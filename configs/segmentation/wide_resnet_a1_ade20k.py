"""Wider-or-Deeper Model A1 on ADE20K.

Run:     python train.py configs/segmentation/wide_resnet_a1_ade20k.py --workdir DIR \
             --init-from BACKBONE --init-skip "decoder/*" "head/*"
         python evaluate.py --workdir DIR --protocol wider_500_steps
Expect:  43.3 % mIoU on val by the authors; not run here
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
            options={**parent.model.options, "num_classes": 150},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("ade20k:train",),
            evaluate=("ade20k:val",),
        ),
    )
