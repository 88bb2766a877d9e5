"""RefineNet-152 with four links of chained pooling on NYUDv2.

Run:     python train.py configs/segmentation/refinenet152_pool4_nyudv2.py \
             --workdir DIR --init-from BACKBONE --init-skip "decoder/*" "head/*"
         python evaluate.py --workdir DIR --protocol refinenet_scales
Expect:  47.6 % mIoU, 74.4 % of the pixels by the journal paper; not run here
Source:  Lin et al., TPAMI 2019, RefineNet-152-Pool4.  A link convolves first, as in the
         released models of this set
"""

import dataclasses

from configs.segmentation import refinenet152_nyudv2
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = refinenet152_nyudv2.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(
            parent.model,
            options={
                **parent.model.options,
                "pooling_stages": 4,
                "pooling_order": "conv_pool",
            },
        ),
    )
