"""Model A of "Wider or Deeper" on ImageNet.

Run:     python train.py configs/classification/wide_resnet_a_imagenet.py --workdir DIR
Source:  Wu, Shen & van den Hengel, 2016, and its code: 90 epochs of 5,004 updates
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.classification import Classification


def get_config() -> Experiment:
    return Experiment(
        task=Classification(side=224),
        model=Model("wide_resnet_a", compute_dtype="bfloat16"),
        data=Data(
            train=("imagenet2012:train",),
            evaluate=("imagenet2012:validation",),
            crop=(224, 224),
            batch_size=256,
            cache_bytes=0,
            workers=8,
            # A few photographs are in both splits; published scores include them.
            allow_overlap=("imagenet2012",),
        ),
        optim=Optim(
            "sgd",
            lr=0.1,
            nesterov=True,
            schedule="polynomial",
            power=1.0,
            end_lr=1e-6,
            weight_decay=1e-4,
            no_decay=("*/bias",),
        ),
        evaluation=Evaluation("single", every_steps=25_020),
        record=Record(log_every=100, save_every=5_004),
        total_steps=450_360,
    )
