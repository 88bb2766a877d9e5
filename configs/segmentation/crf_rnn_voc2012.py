"""CRF-RNN on PASCAL VOC 2012 with the additional labels of SBD, continued from FCN-8s.

Run:     python train.py configs/segmentation/crf_rnn_voc2012.py --workdir DIR \
             --init-from RUN_OF_FCN8S --init-skip "crf/*"
Expect:  72.0 % mIoU on test by the paper, 74.7 with MS-COCO; not run here
Source:  Zheng et al., ICCV 2015.  They learn from one image at a time, 500 x 500 with
         zeros beyond it, and from the sum over its pixels; crops of that size and their
         mean here.  The rate, a tenth of FCN's, and the length are of this file
"""

import dataclasses

from configs.segmentation import fcn32s_voc2012
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = fcn32s_voc2012.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(parent.model, name="crf_rnn_vgg16"),
        optim=dataclasses.replace(parent.optim, lr=1e-4),
        total_steps=20_000,
    )
