"""RefineNet-50 on NYUDv2 with a backbone for each of two sizes of the image.

Run:     python train.py configs/segmentation/refinenet50_2scale_nyudv2.py \
             --workdir DIR --init-from BACKBONE --init-skip "decoder/*" "head/*"
         (of one ResNet-50, which starts both backbones)
Expect:  43.1 % mIoU by the paper, tested at one scale; not run here
Source:  Lin et al., CVPR 2017, whose chained pooling has two links that pool first; the
         authors' code: images of 1.2 and 0.6 times the size
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
            options={
                **parent.model.options,
                "num_classes": 40,
                "input_scales": (1.2, 0.6),
            },
        ),
        data=dataclasses.replace(
            parent.data,
            train=("nyudv2:train",),
            evaluate=("nyudv2:test",),
        ),
        optim=dataclasses.replace(parent.optim, drop_at=(13_333,)),
        total_steps=20_000,
    )
