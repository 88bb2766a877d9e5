"""RED-Net 10 that removes noise of any level up to 55: an hour and a half on 2 cores.

Unlike the paper's 10-layer network it has skips, with which a short training gets
further; the small batch is for the same reason.

Run:     python train.py configs/restoration/rednet10_denoise.py --workdir DIR
Expect:  31.02 / 28.64 / 25.69 dB on BSD68 at 15 / 25 / 50 (rednet10-denoise-gray)
Source:  Mao, Shen & Yang, NIPS 2016, section 4; schedule and averaging are ours
"""

import dataclasses

from configs.restoration import rednet30_denoise
from dpjax.config import Evaluation, Experiment, Model, Record


def get_config() -> Experiment:
    parent = rednet30_denoise.get_config()
    return dataclasses.replace(
        parent,
        model=Model("rednet10", {"channels": 1, "skip_every": 2}),
        # BSD68 takes minutes on a processor: score it afterwards with evaluate.py.
        data=dataclasses.replace(
            parent.data, evaluate=("set12",), batch_size=8, workers=0
        ),
        optim=dataclasses.replace(parent.optim, warmup_steps=500),
        evaluation=Evaluation("dncnn", every_steps=4_000),
        record=Record(log_every=200, save_every=1_000),
        total_steps=20_000,
    )
