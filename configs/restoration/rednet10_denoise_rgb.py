"""RED-Net 10 that removes noise from colour photographs: half an hour on 2 cores.

Run:     python train.py configs/restoration/rednet10_denoise_rgb.py --workdir DIR
Expect:  33.74 / 31.54 / 28.32 dB on Set5 at 15 / 25 / 50 (rednet10-denoise-rgb) after
         112 s on an H200 that three runs shared, with
         --task.loss l1 --data.crop 72 72 --data.batch-size 32 --data.workers 4
         --optim.warmup-steps 350 --model.compute-dtype bfloat16 --total-steps 7000
Source:  as rednet10_denoise, in colour
"""

import dataclasses

from configs.restoration import rednet10_superres, rednet30_denoise_rgb
from dpjax.config import Evaluation, Experiment, Model


def get_config() -> Experiment:
    parent = rednet10_superres.get_config()
    return dataclasses.replace(
        parent,
        task=rednet30_denoise_rgb.get_config().task,
        model=Model("rednet10", {"channels": 3, "skip_every": 2}),
        evaluation=Evaluation("dncnn", every_steps=2_000),
    )
