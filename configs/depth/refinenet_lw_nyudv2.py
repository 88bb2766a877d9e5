"""Depth of rooms, from scratch, with a small network: the labelled NYUv2 images.

The light-weight decoder of RefineNet on the 16-layer net of "Wider or Deeper" at a
quarter of its width, 4.6 million parameters, because weights of ImageNet are not at
hand.  `val` are 109 of the 795 training images, of rooms that `train` does not show.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/refinenet_lw_nyudv2.py --workdir DIR
Expect:  not trained here; 1,300 images a second on an H100, of a run of 100 updates
         that waited for data for 22 % of its time
Source:  Nekrasov et al., BMVC 2018; Wu, Shen & van den Hengel, 2016; Silberman et al.,
         ECCV 2012
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.depth import Depth


def get_config() -> Experiment:
    return Experiment(
        task=Depth(loss="l1", size=(240, 320), jitter=0.4, also=("nyu_full",)),
        model=Model(
            "refinenet_lw50",
            {
                "backbone": "wide_resnet_16",
                "width": 0.25,
                "num_classes": 1,
                "path_widths": (256, 128, 128, 128),
                "dropout": 0.3,
            },
            compute_dtype="bfloat16",
        ),
        data=Data(
            train=("nyudv2_depth:train",),
            evaluate=("nyudv2_depth:val",),
            crop=(240, 320),
            batch_size=32,
            workers=14,
        ),
        optim=Optim(
            "adamw",
            lr=2e-3,
            schedule="cosine",
            warmup_steps=300,
            weight_decay=0.05,
            ema_decay=0.999,
        ),
        evaluation=Evaluation("nyu_eigen", every_steps=1_000),
        record=Record(log_every=50, save_every=1_000),
        total_steps=10_000,
    )
