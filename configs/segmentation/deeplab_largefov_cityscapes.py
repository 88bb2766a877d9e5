"""DeepLab-LargeFOV on Cityscapes.

Run:     python train.py configs/segmentation/deeplab_largefov_cityscapes.py \
             --workdir DIR --init-from BACKBONE --init-skip "decoder/*" "head/*"
Expect:  63.1 % mIoU on test in the table of RefineNet's paper, presumably
         with a dense CRF; not run here
Source:  Chen et al., ICLR 2015; Lin et al., CVPR 2017.  Crop and schedule are those of
         `deeplab_largefov_voc2012`
"""

import dataclasses

from configs.segmentation import deeplab_largefov_voc2012
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = deeplab_largefov_voc2012.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(
            parent.model,
            options={**parent.model.options, "num_classes": 19},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("cityscapes:train",),
            evaluate=("cityscapes:val",),
        ),
    )
