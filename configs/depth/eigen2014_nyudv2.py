"""The fine network of Eigen et al. (2014) on NYUv2, on top of the coarse one.

The coarse one stays as it was trained.  Rates are the paper's, which trains on 1.5
million samples of raw video; this has 320,000 of the 795 labelled images.

Run:     python train.py configs/depth/eigen2014_nyudv2.py --workdir DIR \
             --init-from RUN_OF_COARSE --init-skip "decoder/fine*" "decoder/head/*"
Expect:  not trained here
Source:  Eigen, Puhrsch & Fergus, NIPS 2014
"""

import dataclasses

from configs.depth import eigen2014_coarse_nyudv2
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = eigen2014_coarse_nyudv2.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(
            parent.model,
            options={**parent.model.options, "scales": 2, "is_joint": False},
        ),
        optim=dataclasses.replace(parent.optim, lr_factors={"decoder/fine2/*": 10.0}),
    )
