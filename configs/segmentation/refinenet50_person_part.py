"""RefineNet-50 on PASCAL Person-Part: the network of the paper's ablations.

Run:     python train.py configs/segmentation/refinenet50_person_part.py --workdir DIR \
             --init-from BACKBONE --init-skip "decoder/*" "head/*"
         python evaluate.py --workdir DIR --protocol refinenet_scales
Expect:  65.7 % mIoU by the paper, one scale, 64.1 without chained pooling
         (--model.options.pooling-stages 0); 67.1 with several scales; not run here
Source:  Lin et al., CVPR 2017, whose chained pooling has two links that pool first
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
            name="refinenet50_official",
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
