"""DCNF on NYUv2 without its CRF, row "unary only": least squares of each superpixel.

All else is as in the pre-training of DCNF; which layers the paper trains for this row
is not at hand.

Run:     python train.py configs/depth/dcnf_unary_nyudv2.py --workdir DIR \
             --init-from CNN_F --init-skip "head/*"
Expect:  rel 0.295, rms 0.985 by the paper; not run here
Source:  Liu, Shen & Lin, CVPR 2015
"""

import dataclasses

from configs.depth import dcnf_nyudv2
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = dcnf_nyudv2.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(
            parent.model, options={**parent.model.options, "crf": "none"}
        ),
        optim=dataclasses.replace(parent.optim, nonnegative=()),
    )
