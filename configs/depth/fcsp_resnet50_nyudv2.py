"""DCNF-FCSP on NYUv2 with ResNet-50 in place of VGG16, and a CRF of learned scale.

No row of the paper: what a later trunk gives its CRF, whose deviations then mean what
they say.  beta and the scale have to go far, hence their rates.

Run:     python train.py configs/depth/fcsp_resnet50_nyudv2.py --workdir DIR \
             --init-from RESNET50 --init-skip "head/*" "crf/*"
Expect:  not run here; DCNF-FCSP has rel 0.213, rms 0.759 by the paper
Source:  Liu, Shen, Lin & Reid, PAMI 2016; He et al., CVPR 2016
"""

import dataclasses

from configs.depth import fcsp_nyudv2
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = fcsp_nyudv2.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(
            parent.model, name="dcnf_fcsp_resnet50", options={"crf": "calibrated"}
        ),
        optim=dataclasses.replace(
            parent.optim,
            no_decay=(*parent.optim.no_decay, "*log_tau"),
            lr_factors={**parent.optim.lr_factors, "*beta": 25.0, "*log_tau": 25.0},
        ),
    )
