"""Relative depth in the wild: one pair of points for each photograph, judged by people.

Loss and size of Chen et al. on the network of ReDWeb.  Photographs are seen whole, so
that no pair is outside of a crop.  Chen et al. start from a network that has learned
the order of NYUv2's depths, as `redweb_resnet50_ranking_nyudv2` ends; the schedule, of
about three passes, is ours.  Many pairs for each image, as in `nyudv2_ordinal`, want
`--task.pairs 800`.

Run:     python -m dpjax prepare diw --from COPY
         python train.py configs/depth/redweb_resnet50_diw.py --workdir DIR \
             --init-from RUN_OF_RANKING
Expect:  not trained here
Source:  Chen et al., NIPS 2016; Xian et al., CVPR 2018 (network)
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.relative_depth import RelativeDepth


def get_config() -> Experiment:
    return Experiment(
        task=RelativeDepth(
            loss="diw",
            target="points",
            pairs=1,
            upsampling="align_corners",
            size=(240, 320),
            zooms=(1.0, 1.0),
            jitter=0.3,
        ),
        model=Model("redweb_resnet50", compute_dtype="bfloat16"),
        data=Data(
            train=("diw:train",),
            evaluate=("diw:test",),
            crop=(240, 320),
            batch_size=32,
            workers=4,
            # Whether 421,000 are among 74,000 would take half an hour to see.
            allow_overlap=("diw",),
        ),
        optim=Optim(
            "adamw",
            lr=1e-4,
            schedule="cosine",
            warmup_steps=500,
            weight_decay=0.01,
            ema_decay=0.999,
        ),
        # 74,000 photographs: they are scored once, at the end.
        evaluation=Evaluation("points"),
        record=Record(log_every=50, save_every=1_000),
        total_steps=40_000,
    )
