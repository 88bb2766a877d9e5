"""Relative depth from the order of points alone: what metric depth starts from.

The decoder of ReDWeb on ResNet-50 and the loss of that paper, 3000 pairs for each image
and update.  The paper learns from pictures whose disparities come from stereo; here
the order is that of NYUv2's depths, of which no metre is seen, so that what it is worth
as a start can be measured; `redweb_resnet50_bins_nyudv2` goes on from it.  Of the
control that knows the map up to scale and shift, `--task.loss affine_invariant
--task.gradient 0.5`.  The schedule is ours.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/redweb_resnet50_ranking_nyudv2.py --workdir DIR \
             --init-from resnet50.safetensors --init-skip "decoder/*" "head/*"
Expect:  not trained here
Source:  Xian et al., CVPR 2018; Cao et al., TCSVT 2020; Silberman et al., ECCV 2012
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.relative_depth import RelativeDepth


def get_config() -> Experiment:
    return Experiment(
        task=RelativeDepth(
            loss="redweb",
            upsampling="align_corners",
            size=(240, 320),
            jitter=0.3,
        ),
        model=Model("redweb_resnet50", compute_dtype="bfloat16"),
        data=Data(
            train=("nyudv2_depth:train",),
            evaluate=("nyudv2_depth:test",),
            crop=(240, 320),
            batch_size=16,
            workers=4,
        ),
        optim=Optim(
            "adamw",
            lr=2e-4,
            schedule="cosine",
            warmup_steps=500,
            weight_decay=0.01,
            lr_factors={"backbone/*": 0.1},
            ema_decay=0.999,
        ),
        evaluation=Evaluation("dense", every_steps=1_000),
        record=Record(log_every=50, save_every=500),
        total_steps=10_000,
    )
