"""Few wide units from scratch on 20 classes of Caltech-101, 36 images each.

The 16-layer net of "Wider or Deeper" at a quarter of its width.  It takes as
many multiplications as `deep_caltech20`; `python -m benchmarks.wide_or_deep` compares
the two.

Run:     python -m dpjax prepare class_folder --from CLASSES --name caltech20
         python train.py configs/classification/wide_caltech20.py --workdir DIR
         (CLASSES has the folders train and val, and in each a folder for every class)
Expect:  85.3 +- 1.2 % of 240 images that are held back (three seeds)
Source:  Wu, Shen & van den Hengel, 2016, section 3; Fei-Fei et al., CVPRW 2004
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.classification import Classification

# Shown again, some of them mirrored, among the images that are held back.
_COPIES = (
    "train/grand_piano/image_0041.jpg",
    "train/leopards/image_0046.jpg",
    "train/leopards/image_0070.jpg",
    "train/leopards/image_0098.jpg",
    "train/leopards/image_0109.jpg",
    "train/leopards/image_0153.jpg",
    "train/soccer_ball/image_0013.jpg",
    "train/umbrella/image_0072.jpg",
)


def get_config() -> Experiment:
    return Experiment(
        task=Classification(side=64, area=(0.25, 1.0), smoothing=0.1),
        model=Model("wide_resnet_16", {"width": 0.25, "num_classes": 20}),
        data=Data(
            train=(f"class_folder/caltech20:train-{','.join(_COPIES)}",),
            evaluate=("class_folder/caltech20:val",),
            crop=(64, 64),
            batch_size=32,
        ),
        optim=Optim(
            "sgd",
            lr=0.05,
            nesterov=True,
            schedule="cosine",
            warmup_steps=100,
            weight_decay=1e-3,
            ema_decay=0.99,
        ),
        evaluation=Evaluation("centre", every_steps=200),
        record=Record(log_every=100, save_every=500, panels=0),
        total_steps=1200,
    )
