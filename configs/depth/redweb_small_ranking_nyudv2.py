"""Relative depth on NYUv2, small enough for a processor, from scratch.

`redweb_resnet50_ranking_nyudv2` on the 16-layer net of "Wider or Deeper" at a quarter
of its width, images of a quarter of the size; `redweb_small_bins_nyudv2` goes on.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/redweb_small_ranking_nyudv2.py --workdir DIR
Expect:  not trained here but for a few updates, which show that it runs
Source:  Xian et al., CVPR 2018; Wu, Shen & van den Hengel, 2016; Silberman et al., ECCV
         2012
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.relative_depth import RelativeDepth


def get_config() -> Experiment:
    return Experiment(
        task=RelativeDepth(
            loss="redweb",
            # From scratch, the hardest pairs alone hold all points at the same depth.
            keep=1.0,
            upsampling="align_corners",
            size=(120, 160),
            jitter=0.4,
        ),
        model=Model(
            "redweb_resnet50",
            {"backbone": "wide_resnet_16", "width": 0.25, "up_widths": (128, 64)},
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
        evaluation=Evaluation("dense", every_steps=500),
        record=Record(log_every=50, save_every=500),
        total_steps=3_000,
    )
