"""Wider-or-Deeper Model A1 with two dilated layers, on VOC 2012 with SBD's labels.

Run:     python train.py configs/segmentation/wide_resnet_a1_voc2012.py --workdir DIR \
             --init-from RUN_OF_MODEL_A1 --init-skip "decoder/*" "head/*"
Expect:  80.8 % mIoU on val by the authors; not run here
Source:  Wu, Shen & van den Hengel, 2016, section 5; the authors' code.  Their schedule
         for VOC is not published: 60 rounds here, from the rate that they give for
         Cityscapes linearly to 0.  Others reached 77.65 % with that rate, kept for 120
         rounds.  Their 256 pixels that count in any case are of four images, 64 of each
         here; a training image has 0.7 to 1.3 times its size, theirs has that of 500
         pixels on the long side
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.segmentation import Segmentation


def get_config() -> Experiment:
    return Experiment(
        task=Segmentation(
            scales=(0.7, 1.3),
            hard_below=0.6,
            hard_least=64,
            loss_at="scores",
            upsampling="cubic",
        ),
        model=Model(
            "wide_resnet_a1_fcn",
            {"num_classes": 21, "norm": "frozen", "remat": True},
            compute_dtype="bfloat16",
        ),
        data=Data(
            train=("voc2012:train_aug",),
            evaluate=("voc2012:val",),
            crop=(504, 504),
            batch_size=16,
            workers=4,
        ),
        optim=Optim(
            "sgd",
            lr=1.6e-3,
            schedule="polynomial",
            power=1.0,
            weight_decay=5e-4,
            no_decay=("*/bias",),
            lr_factors={"*/bias": 2.0},
        ),
        evaluation=Evaluation("wider_500", every_steps=5_000),
        record=Record(log_every=50, save_every=1_000),
        total_steps=40_000,
    )
