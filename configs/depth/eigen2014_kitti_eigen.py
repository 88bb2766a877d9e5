"""The fine network of Eigen et al. (2014) on KITTI, on top of the coarse one.

Run:     python train.py configs/depth/eigen2014_kitti_eigen.py --workdir DIR \
             --init-from RUN_OF_COARSE --init-skip "decoder/fine*" "decoder/head/*"
Expect:  rel 0.190, rms 7.156 as published, raw scans up to 80 metres; not run here
Source:  Eigen, Puhrsch & Fergus, NIPS 2014; Geiger et al., IJRR 2013
"""

import dataclasses

from configs.depth import eigen2014_coarse_kitti_eigen
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = eigen2014_coarse_kitti_eigen.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(
            parent.model,
            options={**parent.model.options, "scales": 2, "is_joint": False},
        ),
        optim=dataclasses.replace(parent.optim, lr_factors={"decoder/fine2/*": 10.0}),
        total_steps=30_000,
    )
