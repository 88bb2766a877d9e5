"""Things of VOC 2012, from scratch, with the small network of `refinenet_lw_camvid`.

Short enough for a processor.  It shows that the path works from files to scores and is
not the paper's number, 78.5 % mIoU: weights of ImageNet were not at hand, the network
is a sixth of the paper's, and the copy it ran on is a small part of the set: 120 images
of train and 45 of val, about 8 and 3 of each class.

Run:     python -m dpjax prepare voc2012 --from COPY
         python train.py configs/segmentation/refinenet_lw_voc2012_small.py \
             --workdir DIR
Expect:  5.6 % mIoU, 76.5 % of the pixels: background almost everywhere; 8 minutes of
         one core
Source:  Nekrasov et al., BMVC 2018; Everingham et al., IJCV 2015
"""

import dataclasses

from configs.segmentation import refinenet_lw_camvid
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = refinenet_lw_camvid.get_config()
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(parent.task, scales=(0.5, 1.0)),
        model=dataclasses.replace(
            parent.model, options={**parent.model.options, "num_classes": 21}
        ),
        data=dataclasses.replace(
            parent.data,
            train=("voc2012:train",),
            evaluate=("voc2012:val",),
            crop=(192, 256),
        ),
        optim=dataclasses.replace(parent.optim, warmup_steps=50, ema_decay=0.98),
        evaluation=dataclasses.replace(parent.evaluation, every_steps=0),
        record=dataclasses.replace(parent.record, log_every=20, save_every=100),
        total_steps=300,
    )
