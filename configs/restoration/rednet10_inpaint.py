"""RED-Net 10 that removes text and scratches it must find: half an hour on 2 cores.

Run:     python train.py configs/restoration/rednet10_inpaint.py --workdir DIR
Expect:  36.73 dB on Set5 under text, 38.09 dB under scratches (rednet10-inpaint) after
         91 s on an H200 that three runs shared, with
         --task.loss l1 --data.crop 72 72 --data.batch-size 32 --data.workers 4
         --optim.warmup-steps 350 --model.compute-dtype bfloat16 --total-steps 7000
Source:  as rednet30_inpaint, by a smaller network with skips
"""

import dataclasses

from configs.restoration import rednet10_superres, rednet30_inpaint
from dpjax.config import Evaluation, Experiment, Model


def get_config() -> Experiment:
    parent = rednet10_superres.get_config()
    return dataclasses.replace(
        parent,
        task=rednet30_inpaint.get_config().task,
        model=Model("rednet10", {"channels": 3, "skip_every": 2}),
        evaluation=Evaluation("red", every_steps=2_000),
    )
