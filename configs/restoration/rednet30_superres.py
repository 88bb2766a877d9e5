"""RED-Net 30 that enlarges 2, 3 and 4 times, one network for all.

Run:     python train.py configs/restoration/rednet30_superres.py --workdir DIR
Source:  Mao, Shen & Yang, NIPS 2016, Table 7
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.data.degradations import Bicubic
from dpjax.tasks.restoration import Restoration


def get_config() -> Experiment:
    return Experiment(
        task=Restoration(
            degradations=(Bicubic(2), Bicubic(3), Bicubic(4)),
            judged=(Bicubic(2), Bicubic(3), Bicubic(4)),
            space="y",
        ),
        model=Model("rednet30", {"channels": 1}, compute_dtype="bfloat16"),
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
        evaluation=Evaluation("basicsr", every_steps=10_000),
        record=Record(log_every=100, save_every=5_000),
        total_steps=300_000,
    )
