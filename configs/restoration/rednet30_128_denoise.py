"""RED-Net 30, 128 wide as released, that removes noise from gray photographs.

Run:     python train.py configs/restoration/rednet30_128_denoise.py --workdir DIR
Source:  Mao, Shen & Yang, NIPS 2016, released models; schedule and averaging are ours
"""

import dataclasses

from configs.restoration import rednet30_denoise
from dpjax.config import Experiment, Model


def get_config() -> Experiment:
    parent = rednet30_denoise.get_config()
    return dataclasses.replace(
        parent,
        model=Model("rednet30_128", {"channels": 1}, compute_dtype="bfloat16"),
    )
