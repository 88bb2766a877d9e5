"""Depth as one of 50 bins on NYUv2, small enough for a processor, from scratch.

The 16-layer net of "Wider or Deeper" at a quarter of its width, images of a quarter of
the size, because weights of ImageNet are not at hand.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/cls_small_nyudv2.py --workdir DIR
Expect:  not trained here but for a few updates, which show that it runs
Source:  Cao, Wu & Shen, TCSVT 2018; Wu, Shen & van den Hengel, 2016; Silberman et al.,
         ECCV 2012
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.ops.depth_bins import Bins
from dpjax.tasks.depth_bins import DepthBins


def get_config() -> Experiment:
    return Experiment(
        task=DepthBins(
            bins=Bins(0.7, 10.0, 50),
            size=(120, 160),
            jitter=0.4,
            also=("nyu_full",),
            has_edges=True,
        ),
        model=Model(
            "cls_resnet50",
            {
                "backbone": "wide_resnet_16",
                "width": 0.25,
                "num_classes": 50,
                "hidden": 128,
            },
        ),
        data=Data(
            train=("nyudv2_depth:train",),
            evaluate=("nyudv2_depth:val",),
            crop=(120, 160),
            batch_size=16,
        ),
        optim=Optim(
            "adamw",
            lr=1e-3,
            schedule="cosine",
            warmup_steps=200,
            weight_decay=0.05,
            ema_decay=0.998,
        ),
        evaluation=Evaluation("nyu_eigen", every_steps=500),
        record=Record(log_every=50, save_every=500),
        total_steps=3_000,
    )
