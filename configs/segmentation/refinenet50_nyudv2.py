"""RefineNet-50 on NYUDv2: the network of the paper's ablations.

Run:     python train.py configs/segmentation/refinenet50_nyudv2.py --workdir DIR \
             --init-from BACKBONE --init-skip "decoder/*" "head/*" \
             [--model.options.cascades 1]
         python evaluate.py --workdir DIR --protocol refinenet_scales
Expect:  42.5 % mIoU by the paper, one scale; 40.3 with one cascade, 40.9 with two, 40.4
         without chained pooling (--model.options.pooling-stages 0); 43.8 with several
         scales; not run here
Source:  Lin et al., CVPR 2017, Tables 5 and 6; chained pooling of two links that pool
         first
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
            options={**parent.model.options, "num_classes": 40},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("nyudv2:train",),
            evaluate=("nyudv2:test",),
        ),
        optim=dataclasses.replace(parent.optim, drop_at=(13_333,)),
        total_steps=20_000,
    )
