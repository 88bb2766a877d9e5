"""RED-Net 10 that removes JPEG artefacts of quality 10 to 40: half an hour on 2 cores.

Run:     python train.py configs/restoration/rednet10_jpeg.py --workdir DIR
Expect:  31.43 / 34.24 / 35.52 / 36.11 dB on Set5 at quality 10 / 20 / 30 / 40
         (rednet10-jpeg) after 117 s on an H200 that three runs shared, with
         --task.loss l1 --data.crop 72 72 --data.batch-size 32 --data.workers 4
         --optim.warmup-steps 350 --model.compute-dtype bfloat16 --total-steps 7000
Source:  as rednet30_jpeg, by a smaller network with skips
"""

import dataclasses

from configs.restoration import rednet10_superres, rednet30_jpeg
from dpjax.config import Evaluation, Experiment


def get_config() -> Experiment:
    parent = rednet10_superres.get_config()
    return dataclasses.replace(
        parent,
        task=rednet30_jpeg.get_config().task,
        evaluation=Evaluation("dncnn", every_steps=2_000),
    )
