"""Streets of CamVid in eleven classes, from scratch, with a small network.

The light-weight decoder of RefineNet on the 16-layer net of "Wider or Deeper" at a
quarter of its width: without weights of ImageNet, few wide units learn faster than many
thin ones.

Run:     python -m dpjax prepare camvid --from COPY
         python train.py configs/segmentation/refinenet_lw_camvid.py --workdir DIR
Expect:  mIoU 65.2 % on val, 66.4 % over scales; 75 minutes on two processor cores,
         of which no log is kept.  Released as lwrefinenet-camvid
Source:  Nekrasov et al., BMVC 2018; Wu, Shen & van den Hengel, 2016; Brostow et al.,
         PRL 2009, the 360 x 480 copy of SegNet
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.segmentation import Segmentation


def get_config() -> Experiment:
    return Experiment(
        task=Segmentation(
            scales=(0.5, 1.5), by_class=True, jitter=0.3, upsampling="align_corners"
        ),
        model=Model(
            "refinenet_lw50",
            {
                "backbone": "wide_resnet_16",
                "width": 0.25,
                "num_classes": 11,
                "path_widths": (256, 128, 128, 128),
                "dropout": 0.3,
            },
        ),
        data=Data(
            train=("camvid:train",),
            evaluate=("camvid:val",),
            crop=(240, 320),
            batch_size=8,
        ),
        optim=Optim(
            "adamw",
            lr=1e-3,
            schedule="cosine",
            warmup_steps=200,
            weight_decay=0.05,
            ema_decay=0.998,
        ),
        evaluation=Evaluation("whole", every_steps=1_000),
        record=Record(log_every=50, save_every=250),
        total_steps=5_000,
    )
