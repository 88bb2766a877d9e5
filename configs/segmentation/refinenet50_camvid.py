"""RefineNet-50 on CamVid, eleven classes, from scratch: the run for a GPU.

Run:     python -m dpjax prepare camvid --from COPY
         python train.py configs/segmentation/refinenet50_camvid.py --workdir DIR
         python evaluate.py --workdir DIR --protocol scales
Expect:  not measured on a GPU yet; networks without weights of ImageNet reach 51 (ENet)
         to 67 % (FC-DenseNet103) on test
Source:  Lin et al., CVPR 2017; Brostow et al., PRL 2009, the 360 x 480 copy of SegNet
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.segmentation import Segmentation


def get_config() -> Experiment:
    return Experiment(
        task=Segmentation(scales=(0.5, 2.0), by_class=True, jitter=0.3),
        model=Model("refinenet50", {"num_classes": 11}, compute_dtype="bfloat16"),
        data=Data(
            train=("camvid:train",),
            evaluate=("camvid:val",),
            crop=(320, 320),
            batch_size=16,
            workers=4,
        ),
        optim=Optim(
            "adamw",
            lr=5e-4,
            schedule="cosine",
            warmup_steps=500,
            weight_decay=0.05,
            ema_decay=0.999,
            clip_norm=1.0,
        ),
        evaluation=Evaluation("whole", every_steps=1_000),
        record=Record(log_every=50, save_every=500),
        total_steps=10_000,
    )
