"""Depth as one of 50 bins, from a small network that knows what is farther.

All but the last layer begins as `redweb_small_ranking_nyudv2` ends, which has seen the
order of depths only; without that start the same network is what it is compared with.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/redweb_small_bins_nyudv2.py --workdir DIR \
             --init-from RUN_OF_RANKING --init-skip "decoder/head/*"
Expect:  not trained here but for a few updates, which show that it runs
Source:  Cao et al., TCSVT 2020; Cao, Wu & Shen, TCSVT 2018; Xian et al., CVPR 2018
"""

import dataclasses

from configs.depth import redweb_small_ranking_nyudv2
from dpjax.config import Evaluation, Experiment
from dpjax.ops.depth_bins import Bins
from dpjax.tasks.depth_bins import DepthBins


def get_config() -> Experiment:
    parent = redweb_small_ranking_nyudv2.get_config()
    options = {**parent.model.options, "num_classes": 50, "last_stride": 2}
    return dataclasses.replace(
        parent,
        task=DepthBins(
            bins=Bins(0.7, 10.0, 50),
            upsampling="align_corners",
            size=parent.task.size,
            jitter=parent.task.jitter,
            also=("nyu_full",),
            has_edges=True,
        ),
        model=dataclasses.replace(parent.model, options=options),
        evaluation=Evaluation("nyu_eigen", every_steps=500),
    )
