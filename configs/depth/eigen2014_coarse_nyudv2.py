"""The coarse network of Eigen et al. (2014) on NYUv2; the fine one comes on top of it.

Rates, momentum and the size of the batch are the paper's.  It trains on raw video, two
million samples, from weights of ImageNet; this reads the 795 labelled images, from
scratch, with 320,000 samples.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/eigen2014_coarse_nyudv2.py --workdir COARSE
         python train.py configs/depth/eigen2014_nyudv2.py --workdir DIR \
             --init-from COARSE --init-skip "decoder/fine*" "decoder/head/*"
Expect:  not trained here
Source:  Eigen, Puhrsch & Fergus, NIPS 2014
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.depth import Depth


def get_config() -> Experiment:
    size = (228, 304)  # paper
    return Experiment(
        task=Depth(
            loss="scale_invariant",
            size=size,
            zooms=(1.0, 1.5),
            jitter=0.2,
            also=("nyu_eigen",),
            has_edges=True,
        ),
        model=Model(
            "eigen2014",
            {"scales": 1, "image_size": size},
            compute_dtype="bfloat16",
        ),
        data=Data(
            train=("nyudv2_depth:train",),
            evaluate=("nyudv2_depth:test",),
            crop=size,
            batch_size=32,
            workers=4,
        ),
        optim=Optim(
            "sgd",
            lr=1e-3,
            momentum=0.9,
            lr_factors={"decoder/*": 100.0},  # fc6 and the map
        ),
        evaluation=Evaluation("nyu_full", every_steps=1_000),
        record=Record(log_every=50, save_every=500),
        total_steps=10_000,
    )
