"""A small ResNet from scratch on Caltech-101, or on any folder of classes.

Run:     python -m dpjax prepare class_folder --from 101_ObjectCategories --name caltech
         python train.py configs/classification/resnet14_caltech101.py --workdir DIR
         (for N classes --model.options.num-classes N; the folder of the original has
         102; a folder with train and val is scored by --data.evaluate
         class_folder/caltech:val)
Source:  Fei-Fei et al., CVPRW 2004; one unit in each stage of He et al., CVPR 2016
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.classification import Classification


def get_config() -> Experiment:
    return Experiment(
        task=Classification(side=96, area=(0.25, 1.0), smoothing=0.1, cutmix=1.0),
        model=Model("resnet50", {"blocks": (1, 1, 1, 1), "num_classes": 102}),
        data=Data(
            train=("class_folder/caltech:train",),
            evaluate=("class_folder/caltech:test",),
            crop=(96, 96),
            batch_size=64,
        ),
        optim=Optim(
            "sgd",
            lr=0.1,
            nesterov=True,
            schedule="cosine",
            warmup_steps=200,
            weight_decay=5e-4,
            ema_decay=0.999,
        ),
        evaluation=Evaluation("single", every_steps=1000),
        record=Record(log_every=50, save_every=500),
        total_steps=10_000,
    )
