"""ResNet-50 on ImageNet with the means of later years.

Run:     python train.py configs/classification/resnet50_imagenet_modern.py \
             --workdir DIR
Source:  after torchvision's second recipe of 2021, 600 epochs of 1,251 updates: label
         smoothing, mixup, CutMix, cosine, averaged weights.  Not its own: the colours
         of the first years instead of random augmentations and erasing, every image
         once an epoch, averages of 10,000 updates, scored at 251 pixels.  Not run here
"""

import dataclasses

from configs.classification import resnet50_imagenet
from dpjax.config import Experiment, Model, Optim
from dpjax.tasks.classification import Classification


def get_config() -> Experiment:
    parent = resnet50_imagenet.get_config()
    return dataclasses.replace(
        parent,
        model=Model("resnet50", compute_dtype="bfloat16"),
        task=Classification(side=176, smoothing=0.1, mixup=0.2, cutmix=1.0),
        data=dataclasses.replace(parent.data, crop=(176, 176), batch_size=1024),
        optim=Optim(
            "sgd",
            lr=0.5,
            schedule="cosine",
            warmup_steps=6_255,
            weight_decay=2e-5,
            ema_decay=0.9999,
        ),
        evaluation=dataclasses.replace(parent.evaluation, every_steps=12_510),
        record=dataclasses.replace(parent.record, save_every=1_251),
        total_steps=750_600,
    )
