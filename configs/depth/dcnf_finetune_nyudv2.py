"""DCNF on NYUv2, row "fine-tune": all layers, from the weights of the pre-training.

The rates, a tenth of the pre-training's below the head, and the schedule are ours: the
paper's are not at hand.

Run:     python train.py configs/depth/dcnf_finetune_nyudv2.py --workdir DIR \
             --init-from RUN_OF_DCNF_NYUDV2
Expect:  rel 0.230, rms 0.824 by the paper; not run here
Source:  Liu, Shen & Lin, CVPR 2015
"""

import dataclasses

from configs.depth import dcnf_nyudv2
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = dcnf_nyudv2.get_config()
    return dataclasses.replace(
        parent,
        optim=dataclasses.replace(
            parent.optim, lr_factors={"*/conv*": 0.1, "*/fc6/*": 0.1}
        ),
    )
