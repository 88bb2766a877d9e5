"""RED-Net 30 that removes JPEG artefacts of quality 10 to 40.

Run:     python train.py configs/restoration/rednet30_jpeg.py --workdir DIR
Source:  the released models for quality 10 and 20; one network for a range is ours

Published numbers of deblocking belong to Classic5 and LIVE1, not to Set5 and Set14, on
which this run is scored while it trains.  With your copies of them:

    python -m dpjax prepare classic5 --from COPY
    python -m dpjax prepare live1 --from COPY
    python evaluate.py --workdir DIR --sources classic5 live1
"""

import dataclasses

from configs.restoration import rednet30_denoise_rgb
from dpjax.config import Evaluation, Experiment, Model
from dpjax.data.degradations import Jpeg
from dpjax.tasks.restoration import Restoration


def get_config() -> Experiment:
    parent = rednet30_denoise_rgb.get_config()
    return dataclasses.replace(
        parent,
        task=Restoration(
            degradations=(Jpeg((10, 40)),),
            judged=(Jpeg((10, 10)), Jpeg((20, 20)), Jpeg((30, 30)), Jpeg((40, 40))),
            space="y",
        ),
        model=Model("rednet30", {"channels": 1}, compute_dtype="bfloat16"),
        evaluation=Evaluation("dncnn", every_steps=10_000),
    )
