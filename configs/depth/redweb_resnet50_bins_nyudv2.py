"""Depth as one of 100 bins on NYUv2, from a network that knows what is farther.

All but the last layer begins as `redweb_resnet50_ranking_nyudv2` ends; without that
start the same network is what pre-training is compared with.  The loss sees scores of
all pixels, for one image at a time.  Range of the bins and schedule are ours.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/redweb_resnet50_bins_nyudv2.py --workdir DIR \
             --init-from RUN_OF_RANKING --init-skip "decoder/head/*"
Expect:  not trained here; the paper has rel 0.132, rms 0.538 on the 654 test images
Source:  Cao et al., TCSVT 2020; Cao, Wu & Shen, TCSVT 2018; Xian et al., CVPR 2018
"""

import dataclasses

from configs.depth import redweb_resnet50_ranking_nyudv2
from dpjax.config import Evaluation, Experiment
from dpjax.ops.depth_bins import Bins
from dpjax.tasks.depth_bins import DepthBins


def get_config() -> Experiment:
    parent = redweb_resnet50_ranking_nyudv2.get_config()
    return dataclasses.replace(
        parent,
        task=DepthBins(
            bins=Bins(0.7, 10.0, 100),
            upsampling="align_corners",
            size=parent.task.size,
            jitter=parent.task.jitter,
            also=("nyu_full",),
            has_edges=True,
        ),
        model=dataclasses.replace(
            parent.model, options={"num_classes": 100, "last_stride": 2}
        ),
        evaluation=Evaluation("nyu_eigen", every_steps=1_000),
    )
