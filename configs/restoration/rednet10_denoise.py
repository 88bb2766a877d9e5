"""RED-Net 10 that removes noise of any level up to 55: hours on a processor.

Run:     python train.py configs/restoration/rednet10_denoise.py --workdir DIR
Source:  Mao, Shen & Yang, NIPS 2016, section 4; schedule and averaging are ours
"""

import dataclasses

from configs.restoration import rednet30_denoise
from dpjax.config import Evaluation, Experiment, Model, Record


def get_config() -> Experiment:
    parent = rednet30_denoise.get_config()
    return dataclasses.replace(
        parent,
        model=Model("rednet10", {"channels": 1}),
        # BSD68 takes minutes on a processor: score it afterwards with evaluate.py.
        data=dataclasses.replace(parent.data, evaluate=("set12",), batch_size=16),
        optim=dataclasses.replace(parent.optim, warmup_steps=500),
        evaluation=Evaluation("dncnn", every_steps=1_000),
        record=Record(log_every=100, save_every=500),
        total_steps=8_000,
    )
