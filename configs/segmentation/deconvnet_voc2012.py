"""DeconvNet on PASCAL VOC 2012, on crops instead of object proposals.

Run:     python train.py configs/segmentation/deconvnet_voc2012.py --workdir DIR
Expect:  the authors' 69.6 % on test are of proposals in two stages, with a CRF, 72.5
         together with FCN-8s; not run here
Source:  Noh, Hong & Han, ICCV 2015
"""

import dataclasses

from configs.segmentation import fcn32s_voc2012
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = fcn32s_voc2012.get_config()
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(parent.model, name="deconvnet"),
        data=dataclasses.replace(
            parent.data,
            crop=(224, 224),
        ),
    )
