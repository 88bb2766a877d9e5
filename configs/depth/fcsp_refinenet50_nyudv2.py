"""DCNF-FCSP on NYUv2 under RefineNet's decoder, and a CRF of learned scale.

No row of the paper, as `fcsp_resnet50_nyudv2`: superpixels get features of a quarter of
the resolution, not of an eighth.

Run:     python train.py configs/depth/fcsp_refinenet50_nyudv2.py --workdir DIR \
             --init-from RESNET50 --init-skip "head/*" "decoder/*" "crf/*"
Expect:  not run here; DCNF-FCSP has rel 0.213, rms 0.759 by the paper
Source:  Liu, Shen, Lin & Reid, PAMI 2016; Lin et al., CVPR 2017
"""

import dataclasses

from configs.depth import fcsp_resnet50_nyudv2
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = fcsp_resnet50_nyudv2.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(parent.model, name="dcnf_fcsp_refinenet50"),
    )
