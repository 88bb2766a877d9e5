"""RED-Net 10 that enlarges 2, 3 and 4 times: half an hour on 2 cores.

Run:     python train.py configs/restoration/rednet10_superres.py --workdir DIR
Source:  Mao, Shen & Yang, NIPS 2016, Table 7, by a smaller network with skips
"""

import dataclasses

from configs.restoration import rednet30_superres
from dpjax.config import Evaluation, Experiment, Model, Record


def get_config() -> Experiment:
    parent = rednet30_superres.get_config()
    return dataclasses.replace(
        parent,
        model=Model("rednet10", {"channels": 1, "skip_every": 2}),
        # Set14 takes minutes on a processor: score it afterwards with evaluate.py.
        data=dataclasses.replace(
            parent.data, evaluate=("set5",), batch_size=8, workers=0
        ),
        optim=dataclasses.replace(parent.optim, warmup_steps=500),
        evaluation=Evaluation("basicsr", every_steps=2_000),
        record=Record(log_every=200, save_every=1_000),
        total_steps=6_000,
    )
