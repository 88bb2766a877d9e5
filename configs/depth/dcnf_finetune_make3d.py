"""DCNF on Make3D, row "fine-tune": all layers, from the weights of the pre-training.

The rates, a tenth of the pre-training's below the head, and the schedule are ours: the
paper's are not at hand.

Run:     python train.py configs/depth/dcnf_finetune_make3d.py --workdir DIR \
             --init-from RUN_OF_DCNF_MAKE3D
Expect:  rel 0.314, rms 8.60 (C1), rel 0.307, rms 12.89 (C2) by the paper; not run here
Source:  Liu, Shen & Lin, CVPR 2015
"""

import dataclasses

from configs.depth import dcnf_make3d
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = dcnf_make3d.get_config()
    return dataclasses.replace(
        parent,
        optim=dataclasses.replace(
            parent.optim, lr_factors={"*/conv*": 0.1, "*/fc6/*": 0.1}
        ),
    )
