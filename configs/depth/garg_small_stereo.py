"""Garg et al. on a few stereo pairs of yours, small, on a processor.

The pairs and the size of `godard_small_stereo`, with the photometric loss and the
network of `garg_kitti` at a quarter of its width.

Run:     python -m dpjax prepare stereo_pairs --from COPY --name small
         python train.py configs/depth/garg_small_stereo.py --workdir DIR
Expect:  on the six pairs that `godard_small_stereo` names: rel 0.46, delta1 0.40 on the
         two others, one run with one seed; far behind, with a recipe tuned for neither
Source:  Garg, Kumar, Carneiro & Reid, ECCV 2016; their release
"""

import dataclasses

from configs.depth import godard_small_stereo
from dpjax.config import Experiment, Model
from dpjax.tasks.self_supervised_depth import SelfSupervisedDepth


def get_config() -> Experiment:
    parent = godard_small_stereo.get_config()
    return dataclasses.replace(
        parent,
        task=SelfSupervisedDepth(
            loss="photometric",
            smoothness=0.01,
            size=(96, 128),
            zooms=(1.0, 1.3),
            limits=(1.0, 200.0),
            flip_average=True,
        ),
        model=Model("garg2016_resnet50", {"width": 16, "blocks": (2, 2, 2, 2)}),
        optim=dataclasses.replace(parent.optim, lr_factors={"decoder/scale_*": 0.01}),
    )
