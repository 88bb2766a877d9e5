"""RED-Net 10 that removes noise of any level up to 55: hours on a processor.

Run:     python train.py configs/restoration/rednet10_denoise.py --workdir DIR
Source:  Mao, Shen & Yang, NIPS 2016, section 4; schedule and averaging are ours
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.data.degradations import GaussianNoise
from dpjax.tasks.restoration import Restoration


def get_config() -> Experiment:
    return Experiment(
        task=Restoration(
            degradations=(GaussianNoise((0.0, 55.0)),),
            judged=(
                GaussianNoise((15.0, 15.0)),
                GaussianNoise((25.0, 25.0)),
                GaussianNoise((50.0, 50.0)),
            ),
            space="gray",
        ),
        model=Model("rednet10", {"channels": 1}),
        data=Data(
            # One picture of the training set is in the evaluation too: left out.
            train=("bsds500:train-12003", "t91:train"),
            evaluate=("set12",),  # BSD68 takes minutes on a processor: evaluate.py
            crop=(50, 50),
            batch_size=16,
        ),
        optim=Optim(
            lr=1e-3, schedule="cosine", warmup_steps=500, end_lr=1e-6, ema_decay=0.999
        ),
        evaluation=Evaluation("dncnn", every_steps=1_000),
        record=Record(log_every=100, save_every=500),
        total_steps=8_000,
    )
