"""DCNF on Make3D, row "pre-train": layers 1 to 6 as ImageNet left them.

Rates are those of `dcnf_nyudv2`, epochs the paper's 60.  The side of the patches and
the range of depth are ours.

Run:     python -m dpjax prepare make3d --from COPY
         python train.py configs/depth/dcnf_make3d.py --workdir DIR \
             --init-from CNN_F --init-skip "head/*" "crf/*"
Expect:  rel 0.331, rms 8.82 (C1), rel 0.324, rms 13.29 (C2) by the paper; not run here
Source:  Liu, Shen & Lin, CVPR 2015; Saxena et al., PAMI 2009
"""

import dataclasses

from configs.depth import dcnf_nyudv2
from dpjax.config import Evaluation, Experiment
from dpjax.data.superpixels.front_end import Settings


def get_config() -> Experiment:
    parent = dcnf_nyudv2.get_config()
    size = (460, 345)  # paper
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
        model=dataclasses.replace(
            parent.model, options={**parent.model.options, "box": 168}
        ),
        data=dataclasses.replace(
            parent.data,
            train=("make3d:train",),
            evaluate=("make3d:test",),
            crop=size,
        ),
        optim=dataclasses.replace(parent.optim, drop_at=(1_000, 2_000)),
        evaluation=Evaluation("make3d_C1"),
        total_steps=3_000,
    )
