"""RED-Net 30 that removes text and scratches without being told where they are.

Run:     python train.py configs/restoration/rednet30_inpaint.py --workdir DIR
Source:  the released scratch model; the mask generator is ours
"""

import dataclasses

from configs.restoration import rednet30_denoise_rgb
from dpjax.config import Evaluation, Experiment
from dpjax.data.degradations import ScratchMask, TextMask
from dpjax.tasks.restoration import Restoration


def get_config() -> Experiment:
    parent = rednet30_denoise_rgb.get_config()
    return dataclasses.replace(
        parent,
        task=Restoration(
            degradations=(TextMask(), ScratchMask()),
            judged=(TextMask(), ScratchMask()),
            space="rgb",
        ),
        evaluation=Evaluation("red", every_steps=10_000),
    )
