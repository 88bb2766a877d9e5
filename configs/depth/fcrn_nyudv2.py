"""FCRN on NYUv2: ResNet-50, up-projections and the reversed Huber loss.

The loss is of metres, as the paper's; its threshold is a fifth of the largest error of
each image, not of the batch, so that devices change nothing.  The paper trains on
12,000 frames of the raw video, from weights of ImageNet; this reads the 795 labelled
images.  The schedule is ours, the paper's is not at hand.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/fcrn_nyudv2.py --workdir DIR \
             --init-from resnet50.safetensors --init-skip "decoder/*" "head/*"
Expect:  not trained here; the paper has rel 0.127, rms 0.573 on the 654 test images
Source:  Laina et al., 3DV 2016
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.depth import Depth


def get_config() -> Experiment:
    return Experiment(
        task=Depth(
            loss="berhu",
            unit="metres",
            size=(240, 320),
            jitter=0.3,
            also=("nyu_eigen",),
            has_edges=True,
        ),
        model=Model("fcrn_resnet50", compute_dtype="bfloat16"),
        data=Data(
            train=("nyudv2_depth:train",),
            evaluate=("nyudv2_depth:test",),
            crop=(228, 304),
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
        evaluation=Evaluation("nyu_full", every_steps=1_000),
        record=Record(log_every=50, save_every=500),
        total_steps=10_000,
    )
