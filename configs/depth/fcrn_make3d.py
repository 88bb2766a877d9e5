"""FCRN on Make3D, pictures at half of 460x345 pixels.

The schedule is ours, the paper's is not at hand.

Run:     python -m dpjax prepare make3d --from COPY
         python train.py configs/depth/fcrn_make3d.py --workdir DIR \
             --init-from resnet50.safetensors --init-skip "*decoder/*" "head/*"
Expect:  not run here; the paper has rel 0.176, rms 4.46 (C1)
Source:  Laina et al., 3DV 2016; Saxena et al., PAMI 2009
"""

import dataclasses

from configs.depth import fcrn_nyudv2
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = fcrn_nyudv2.get_config()
    size = (230, 172)
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(
            parent.task, size=size, also=("make3d_C2",), has_edges=False
        ),
        data=dataclasses.replace(
            parent.data,
            train=("make3d:train",),
            evaluate=("make3d:test",),
            crop=size,
        ),
        evaluation=dataclasses.replace(parent.evaluation, protocol="make3d_C1"),
        total_steps=5_000,
    )
