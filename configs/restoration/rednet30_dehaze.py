"""RED-Net 30 that removes haze, made from smooth synthetic depth.

Run:     python train.py configs/restoration/rednet30_dehaze.py --workdir DIR
Source:  group slides (no published numbers); atmospheric scattering as in RESIDE
"""

import dataclasses

from configs.restoration import rednet30_denoise_rgb
from dpjax.config import Evaluation, Experiment
from dpjax.data.degradations import Haze
from dpjax.tasks.restoration import Restoration


def get_config() -> Experiment:
    parent = rednet30_denoise_rgb.get_config()
    return dataclasses.replace(
        parent,
        task=Restoration(
            degradations=(Haze(),),
            judged=(Haze(),),
            space="rgb",
        ),
        evaluation=Evaluation("red", every_steps=10_000),
    )
