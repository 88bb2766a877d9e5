"""Light-weight RefineNet-50 on PASCAL VOC 2012 with the additional labels of SBD.

Run:     python train.py configs/segmentation/refinenet_lw50_voc2012.py --workdir DIR \
             --init-from resnet50.safetensors --init-skip "decoder/*" "head/*"
Expect:  78.5 % mIoU on val by the paper, which trains on MS-COCO first; not run here
Source:  Nekrasov et al., BMVC 2018; the authors' code has batches of 6 and learning
         rates of 5e-4 for the backbone and 10 times that for the decoder
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.segmentation import Segmentation


def get_config() -> Experiment:
    return Experiment(
        task=Segmentation(scales=(0.5, 2.0)),
        model=Model(
            "refinenet_lw50",
            {"num_classes": 21, "norm": "frozen"},
            compute_dtype="bfloat16",
        ),
        data=Data(
            train=("voc2012:train_aug",),
            evaluate=("voc2012:val",),
            crop=(500, 500),
            batch_size=16,
            workers=4,
        ),
        optim=Optim(
            "sgd",
            lr=1e-2,
            schedule="step",
            drop_at=(20_000, 40_000),
            drop_by=0.5,
            weight_decay=1e-5,
            no_decay=(),
            lr_factors={"backbone/*": 0.1},
        ),
        evaluation=Evaluation("whole", every_steps=5_000),
        record=Record(log_every=50, save_every=1_000),
        total_steps=60_000,
    )
