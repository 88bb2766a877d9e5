"""RED-Net 30 that removes noise of any level up to 55 from gray photographs.

Run:     python train.py configs/restoration/rednet30_denoise.py --workdir DIR
Expect:  31.46 / 29.01 / 26.12 dB on BSD68 at 15 / 25 / 50 (rednet30-denoise-gray) after
         a short run, 390 s on an H200 that three runs shared, with
         --task.loss l1 --data.crop 72 72 --data.batch-size 32
         --optim.lr 5e-4 --total-steps 28000
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
        model=Model("rednet30", {"channels": 1}, compute_dtype="bfloat16"),
        data=Data(
            # The starfish of Set12 is cut from a training picture: left out.
            train=("bsds500:train-12003", "t91:train"),
            evaluate=("bsd68", "set12"),
            crop=(50, 50),
            batch_size=64,
            workers=4,  # one process cuts about 10,000 crops a second
        ),
        optim=Optim(
            lr=1e-3, schedule="cosine", warmup_steps=1000, end_lr=1e-6, ema_decay=0.999
        ),
        evaluation=Evaluation("dncnn", every_steps=10_000),
        record=Record(log_every=100, save_every=5_000),
        total_steps=300_000,
    )
