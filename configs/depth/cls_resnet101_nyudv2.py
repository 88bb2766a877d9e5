"""Depth as one of 100 bins on NYUv2: ResNet-101, information gain.

The paper trains on frames of the raw video, from weights of ImageNet; this reads the
795 labelled images.  Range of the bins, head and schedule are ours, the paper's are not
at hand; it answers by the most probable bin, `--task.decoding argmax`.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/cls_resnet101_nyudv2.py --workdir DIR \
             --init-from resnet101.safetensors --init-skip "decoder/*" "head/*"
Expect:  not trained here
Source:  Cao, Wu & Shen, TCSVT 2018; Silberman et al., ECCV 2012
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.ops.depth_bins import Bins
from dpjax.tasks.depth_bins import DepthBins


def get_config() -> Experiment:
    return Experiment(
        task=DepthBins(
            bins=Bins(0.7, 10.0, 100),
            size=(240, 320),
            jitter=0.3,
            also=("nyu_full",),
            has_edges=True,
        ),
        model=Model("cls_resnet101", {"num_classes": 100}, compute_dtype="bfloat16"),
        data=Data(
            train=("nyudv2_depth:train",),
            evaluate=("nyudv2_depth:test",),
            crop=(240, 320),
            batch_size=16,
            workers=4,
        ),
        optim=Optim(
            "sgd",
            lr=1e-2,
            schedule="polynomial",
            warmup_steps=500,
            weight_decay=5e-4,
            lr_factors={"backbone/*": 0.1},
        ),
        evaluation=Evaluation("nyu_eigen", every_steps=1_000),
        record=Record(log_every=50, save_every=500),
        total_steps=10_000,
    )
