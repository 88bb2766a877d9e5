"""RED-Net 30 that removes haze, made from smooth synthetic depth.

Run:     python train.py configs/restoration/rednet30_dehaze.py --workdir DIR
Source:  group slides (no published numbers); atmospheric scattering as in RESIDE
"""

import dataclasses

from configs.restoration import rednet30_denoise
from dpjax.config import Evaluation, Experiment, Model
from dpjax.data.degradations import Haze
from dpjax.tasks.restoration import Restoration


def get_config() -> Experiment:
    parent = rednet30_denoise.get_config()
    return dataclasses.replace(
        parent,
        task=Restoration(
            degradations=(Haze(),),
            judged=(Haze(),),
            space="rgb",
        ),
        model=Model("rednet30", {"channels": 3}, compute_dtype="bfloat16"),
        data=dataclasses.replace(
            parent.data,
            # The woman of Set5 is a picture of the training set: left out.
            train=("bsds500:train-302003", "t91:train"),
            evaluate=("set5", "set14"),
            crop=(48, 48),
        ),
        evaluation=Evaluation("red", every_steps=10_000),
    )
