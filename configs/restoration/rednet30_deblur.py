"""RED-Net 30 that undoes the blur of a lens out of focus (disk of radius 7).

Run:     python train.py configs/restoration/rednet30_deblur.py --workdir DIR
Source:  the released deblurring model (disk)
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.data.degradations import Blur
from dpjax.tasks.restoration import Restoration


def get_config() -> Experiment:
    return Experiment(
        task=Restoration(
            degradations=(Blur("disk", 7),),
            judged=(Blur("disk", 7),),
            space="rgb",
        ),
        model=Model("rednet30", {"channels": 3}, compute_dtype="bfloat16"),
        data=Data(
            # One picture of the training set is in the evaluation too: left out.
            train=("bsds500:train-302003", "t91:train"),
            evaluate=("set5", "set14"),
            crop=(48, 48),
            batch_size=64,
        ),
        optim=Optim(
            lr=1e-3, schedule="cosine", warmup_steps=1000, end_lr=1e-6, ema_decay=0.999
        ),
        evaluation=Evaluation("red", every_steps=10_000),
        record=Record(log_every=100, save_every=5_000),
        total_steps=300_000,
    )
