"""RED-Net 30 that removes text and scratches without being told where they are.

Run:     python train.py configs/restoration/rednet30_inpaint.py --workdir DIR
Source:  the released scratch model; the mask generator is ours
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.data.degradations import ScratchMask, TextMask
from dpjax.tasks.restoration import Restoration


def get_config() -> Experiment:
    return Experiment(
        task=Restoration(
            degradations=(TextMask(), ScratchMask()),
            judged=(TextMask(), ScratchMask()),
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
