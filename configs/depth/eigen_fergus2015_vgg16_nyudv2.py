"""The three scales of Eigen & Fergus (2015) on NYUv2, on VGG16.

The first two are trained together, as in the paper, then the third on top of them,
which leaves them as they are.  The paper trains on raw video; this reads the 795
labelled images.  Its rates and its schedule are ours.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/eigen_fergus2015_vgg16_nyudv2.py \
             --workdir TWO --model.options.scales 2 \
             --init-from VGG16 --init-skip "*decoder/*" "head/*"
         python train.py configs/depth/eigen_fergus2015_vgg16_nyudv2.py \
             --workdir DIR \
             --init-from TWO --init-skip "decoder/scale3*" "decoder/head/*"
Expect:  rel 0.158, rms 0.641 by the paper; not run here
Source:  Eigen & Fergus, ICCV 2015
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.depth import Depth


def get_config() -> Experiment:
    size = (228, 304)  # paper
    return Experiment(
        task=Depth(
            loss="eigen_fergus",
            size=size,
            zooms=(1.0, 1.5),
            jitter=0.2,
            also=("nyu_eigen",),
            has_edges=True,
        ),
        model=Model(
            "eigen_fergus2015_vgg16",
            {"scales": 3, "is_joint": False, "image_size": size},
            compute_dtype="bfloat16",
        ),
        data=Data(
            train=("nyudv2_depth:train",),
            evaluate=("nyudv2_depth:test",),
            crop=size,
            batch_size=16,
            workers=4,
        ),
        # Nothing decays: what the third scale leaves alone would shrink.
        optim=Optim(
            "adam",
            lr=1e-4,
            schedule="cosine",
            warmup_steps=500,
            lr_factors={"backbone/*": 0.1},
        ),
        evaluation=Evaluation("nyu_full", every_steps=1_000),
        record=Record(log_every=50, save_every=500),
        total_steps=10_000,
    )
