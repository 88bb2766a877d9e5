"""Rooms of NYUDv2, from scratch, with the small network of `refinenet_lw_camvid`.

Short enough for a processor.  It shows that the path works from files to scores and is
not the paper's number, 41.7 % mIoU of another split: weights of ImageNet were not at
hand, the network is a sixth of the paper's, and 400 batches are 5 rounds of the images.
The copy it ran on has the 795 published training images, 686 to train on and 109 of
other scenes to score, and class 40, "otherprop", as not labelled.

Run:     python -m dpjax prepare nyudv2 --from COPY
         python train.py configs/segmentation/refinenet_lw_nyudv2_small.py \
             --workdir DIR
Expect:  4.6 % mIoU, 42.6 % of the pixels; 9 minutes of one core
Source:  Nekrasov et al., BMVC 2018; Silberman et al., ECCV 2012
"""

import dataclasses

from configs.segmentation import refinenet_lw_voc2012_small
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = refinenet_lw_voc2012_small.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(
            parent.model, options={**parent.model.options, "num_classes": 40}
        ),
        data=dataclasses.replace(
            parent.data, train=("nyudv2:train",), evaluate=("nyudv2:val",)
        ),
        total_steps=400,
    )
