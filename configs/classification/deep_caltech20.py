"""Many thin units from scratch on 20 classes of Caltech-101, 36 images each.

Model A of "Wider or Deeper" at an eighth of its width: 38 layers for the work of the 16
of `wide_caltech20`.

Run:     python train.py configs/classification/deep_caltech20.py --workdir DIR
Expect:  77.4 +- 2.4 % of 240 images that are held back (three seeds)
Source:  as wide_caltech20, whose data and recipe it takes
"""

import dataclasses

from configs.classification import wide_caltech20
from dpjax.config import Experiment, Model


def get_config() -> Experiment:
    return dataclasses.replace(
        wide_caltech20.get_config(),
        model=Model("wide_resnet_a", {"width": 0.125, "num_classes": 20}),
    )
