"""Relative depth from stereo pairs of yours, small, on a processor: RDIS.

`redweb_small_ranking_nyudv2` with the order of disparities, as they were matched, in
place of NYUv2's depths; `redweb_small_bins_nyudv2` goes on from it.  The last tenth of
the pairs is scored.  Films have frames that look alike: prepare those to be scored as a
set of their own.  Number of points, threshold and schedule are ours.

Run:     python -m dpjax prepare stereo_folder --from DIR --name pairs
         python train.py configs/depth/rdis_small_stereo.py --workdir DIR
Expect:  not trained here
Source:  Cao et al., TCSVT 2020; Xian et al., CVPR 2018 (decoder); Wu, Shen & van den
         Hengel, 2016 (backbone at a quarter of its width)
"""

import dataclasses

from configs.depth import redweb_small_ranking_nyudv2
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = redweb_small_ranking_nyudv2.get_config()
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(parent.task, loss="rdis", target="disparity"),
        data=dataclasses.replace(
            parent.data,
            train=("stereo_folder/pairs:train[:90%]",),
            evaluate=("stereo_folder/pairs:train[90%:]",),
        ),
    )
