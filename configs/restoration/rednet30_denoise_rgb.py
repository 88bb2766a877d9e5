"""RED-Net 30 that removes noise of any level up to 55 from colour photographs.

Run:     python train.py configs/restoration/rednet30_denoise_rgb.py --workdir DIR
Source:  Mao, Shen & Yang, NIPS 2016, section 4; schedule and averaging are ours
"""

import dataclasses

from configs.restoration import rednet30_denoise
from dpjax.config import Experiment, Model


def get_config() -> Experiment:
    parent = rednet30_denoise.get_config()
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(parent.task, space="rgb"),
        model=Model("rednet30", {"channels": 3}, compute_dtype="bfloat16"),
        data=dataclasses.replace(
            parent.data,
            # The woman of Set5 is a picture of the training set: left out.
            train=("bsds500:train-302003", "t91:train"),
            evaluate=("set5", "set14"),
            crop=(48, 48),
        ),
    )
