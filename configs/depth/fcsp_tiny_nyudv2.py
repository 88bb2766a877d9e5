"""DCNF-FCSP on NYUv2, small enough for a processor: images of 120 x 160.

Otherwise much as `fcsp_small_nyudv2`.  `benchmarks/crf_ablation.py` trains
it with and without a CRF.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/fcsp_tiny_nyudv2.py --workdir DIR
Expect:  rms 1.29 m, rel 0.28 (nyu_eigen on val, all pixels) after the 3,600 updates of
         `benchmarks/crf_ablation.py`, on nine tenths of the images
Source:  Liu, Shen, Lin & Reid, PAMI 2016; Silberman et al., ECCV 2012
"""

import dataclasses

from configs.depth import fcsp_small_nyudv2
from dpjax.config import Experiment
from dpjax.data.superpixels.front_end import Settings


def get_config() -> Experiment:
    small = fcsp_small_nyudv2.get_config()
    size = (120, 160)
    return dataclasses.replace(
        small,
        task=dataclasses.replace(
            small.task, size=size, superpixels=Settings(size=5, least=4)
        ),
        data=dataclasses.replace(small.data, crop=size),
        # What follows a network that has learned by itself is short.
        optim=dataclasses.replace(
            small.optim, lr_factors={"crf/beta": 25.0, "crf/log_tau": 100.0}
        ),
    )
