"""RefineNet-152 with four links of chained pooling on SUN RGB-D.

Run:     python train.py configs/segmentation/refinenet152_pool4_sun_rgbd.py \
             --workdir DIR --init-from BACKBONE --init-skip "decoder/*" "head/*"
         python evaluate.py --workdir DIR --protocol refinenet_scales
Expect:  47.0 % mIoU, 81.1 % of the pixels by the journal paper; not run here
Source:  Lin et al., TPAMI 2019, RefineNet-152-Pool4.  A link convolves first, as in the
         released models of this set
"""

import dataclasses

from configs.segmentation import refinenet152_sun_rgbd
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = refinenet152_sun_rgbd.get_config()
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
