"""RED-Net 30 that enlarges 2, 3 and 4 times, one network for all.

Run:     python train.py configs/restoration/rednet30_superres.py --workdir DIR
Expect:  37.46 / 33.59 / 31.29 dB on Set5 enlarged 2 / 3 / 4 times, with the
         self-ensemble 37.59 / 33.71 / 31.41 (rednet30-superres), after a short run,
         385 s on an H200 that three runs shared, with
         --task.loss l1 --data.crop 72 72 --data.batch-size 32
         --optim.lr 5e-4 --total-steps 25000
Source:  Mao, Shen & Yang, NIPS 2016, Table 7
"""

import dataclasses

from configs.restoration import rednet30_denoise_rgb
from dpjax.config import Evaluation, Experiment, Model
from dpjax.data.degradations import Bicubic
from dpjax.tasks.restoration import Restoration


def get_config() -> Experiment:
    parent = rednet30_denoise_rgb.get_config()
    return dataclasses.replace(
        parent,
        task=Restoration(
            degradations=(Bicubic(2), Bicubic(3), Bicubic(4)),
            judged=(Bicubic(2), Bicubic(3), Bicubic(4)),
            space="y",
        ),
        model=Model("rednet30", {"channels": 1}, compute_dtype="bfloat16"),
        evaluation=Evaluation("basicsr", every_steps=10_000),
    )
