"""Wider-or-Deeper Model A1 on Cityscapes.

Run:     python train.py configs/segmentation/wide_resnet_a1_cityscapes.py \
             --workdir FIRST --init-from BACKBONE --init-skip "decoder/*" "head/*"
         python train.py configs/segmentation/wide_resnet_a1_cityscapes.py \
             --workdir DIR --init-from FIRST --optim.lr 8e-4 \
             --optim.schedule polynomial --optim.power 1 --total-steps 11900
Expect:  78.1 % mIoU on val by the authors; not run here
Source:  Wu, Shen & van den Hengel, 2016, section 5; the authors' code: crops of 500
         pixels, 504 with what the stride wants, 140 rounds at a constant rate and a
         new start of 64 from half of it linearly to 0; what counts in any case is as in
         `wide_resnet_a1_voc2012`
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
            {"num_classes": 19, "norm": "frozen", "remat": True},
            compute_dtype="bfloat16",
        ),
        data=Data(
            train=("cityscapes:train",),
            evaluate=("cityscapes:val",),
            crop=(504, 504),
            batch_size=16,
            workers=4,
        ),
        optim=Optim(
            "sgd",
            lr=1.6e-3,
            weight_decay=5e-4,
            no_decay=("*/bias",),
            lr_factors={"*/bias": 2.0},
        ),
        evaluation=Evaluation("wider_2048", every_steps=5_000),
        record=Record(log_every=50, save_every=1_000),
        total_steps=26_031,  # 140 rounds of 2975 images
    )
