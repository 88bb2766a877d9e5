"""DeepLab-v2 on PASCAL-Context, 59 classes and background.

Run:     python train.py configs/segmentation/deeplab_v2_pascal_context.py \
             --workdir DIR --init-from BACKBONE --init-skip "decoder/*" "head/*"
         python evaluate.py --workdir DIR --protocol crf    (with the kernels for VOC)
Expect:  45.7 % mIoU by the paper, presumably with a dense CRF; not run here
Source:  Chen et al., PAMI 2018.  Crop and schedule are those of `deeplab_v2_voc2012`
"""

import dataclasses

from configs.segmentation import deeplab_v2_voc2012
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = deeplab_v2_voc2012.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(
            parent.model,
            options={**parent.model.options, "num_classes": 60},
        ),
        data=dataclasses.replace(
            parent.data,
            train=("pascal_context:train",),
            evaluate=("pascal_context:val",),
        ),
    )
