"""RefineNet-152 on PASCAL Person-Part.

Run:     python train.py configs/segmentation/refinenet152_person_part.py \
             --workdir DIR --init-from BACKBONE --init-skip "decoder/*" "head/*"
         python evaluate.py --workdir DIR --protocol refinenet_scales
Expect:  68.8 % mIoU by the paper, several scales; not run here
Source:  Lin et al., CVPR 2017, whose chained pooling has two links that pool first.
         The released model has four that convolve first, as `refinenet152_pool4_nyudv2`
"""

import dataclasses

from configs.segmentation import refinenet101_voc2012
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = refinenet101_voc2012.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(
            parent.model,
            name="refinenet152_official",
            options={**parent.model.options, "num_classes": 7},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("person_part:train",),
            evaluate=("person_part:val",),
        ),
        optim=dataclasses.replace(parent.optim, drop_at=(20_000,)),
        total_steps=30_000,
    )
