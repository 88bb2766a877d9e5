"""RED-Net 30 that undoes the blur of a lens out of focus (disk of radius 7).

Run:     python train.py configs/restoration/rednet30_deblur.py --workdir DIR
Source:  the released deblurring model (disk)
"""

import dataclasses

from configs.restoration import rednet30_denoise_rgb
from dpjax.config import Evaluation, Experiment
from dpjax.data.degradations import Blur
from dpjax.tasks.restoration import Restoration


def get_config() -> Experiment:
    parent = rednet30_denoise_rgb.get_config()
    return dataclasses.replace(
        parent,
        task=Restoration(
            degradations=(Blur("disk", 7),),
            judged=(Blur("disk", 7),),
            space="rgb",
        ),
        evaluation=Evaluation("red", every_steps=10_000),
    )
