"""A small RED-Net that removes noise, on photographs that ship with scikit-image.

Run:     make demo
Expect:  30.05 / 26.80 dB on three photographs at 25 / 50 (rednet10-denoise-rgb-small)
Source:  Mao, Shen & Yang, NIPS 2016, at half of the width; five minutes on 2 cores
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.data.degradations import GaussianNoise
from dpjax.tasks.restoration import Restoration


def get_config() -> Experiment:
    return Experiment(
        task=Restoration(
            degradations=(GaussianNoise((0.0, 55.0)),),
            judged=(GaussianNoise((25.0, 25.0)), GaussianNoise((50.0, 50.0))),
            space="rgb",
        ),
        model=Model("rednet10", {"channels": 3, "widths": 32}),
        data=Data(("photos:train",), ("photos:test",), crop=(48, 48), batch_size=16),
        optim=Optim(lr=2e-3, schedule="cosine", warmup_steps=100, ema_decay=0.99),
        evaluation=Evaluation("dncnn", every_steps=500),
        record=Record(log_every=50, save_every=250, panels=2),
        total_steps=1500,
    )
