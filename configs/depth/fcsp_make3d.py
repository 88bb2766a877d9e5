"""DCNF-FCSP on Make3D, scored up to 70 metres (C1) and everywhere (C2).

Run:     python -m dpjax prepare make3d --from COPY
         python train.py configs/depth/fcsp_make3d.py --workdir DIR \
             --init-from VGG16 --init-skip "head/*" "decoder/*" "crf/*"
Expect:  rel 0.287, rms 7.36 (C1), rel 0.287, rms 14.09 (C2) by the paper; not run here
Source:  Liu, Shen, Lin & Reid, PAMI 2016; Saxena et al., PAMI 2009
"""

import dataclasses

from configs.depth import fcsp_nyudv2
from dpjax.config import Evaluation, Experiment
from dpjax.data.superpixels.front_end import Settings


def get_config() -> Experiment:
    parent = fcsp_nyudv2.get_config()
    size = (460, 345)  # DCNF's
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(
            parent.task,
            size=size,
            superpixels=Settings(size=16),
            depth_range=(1.0, 81.0),
            has_edges=False,
            also=("make3d_C2",),
        ),
        data=dataclasses.replace(
            parent.data,
            train=("make3d:train",),
            evaluate=("make3d:test",),
            crop=size,
        ),
        evaluation=Evaluation("make3d_C1"),
        total_steps=5_000,
    )
