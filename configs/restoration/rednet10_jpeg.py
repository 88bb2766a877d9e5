"""RED-Net 10 that removes JPEG artefacts of quality 10 to 40: half an hour on 2 cores.

Run:     python train.py configs/restoration/rednet10_jpeg.py --workdir DIR
Source:  as rednet30_jpeg, by a smaller network with skips
"""

import dataclasses

from configs.restoration import rednet10_superres, rednet30_jpeg
from dpjax.config import Evaluation, Experiment


def get_config() -> Experiment:
    parent = rednet10_superres.get_config()
    return dataclasses.replace(
        parent,
        task=rednet30_jpeg.get_config().task,
        evaluation=Evaluation("dncnn", every_steps=2_000),
    )
