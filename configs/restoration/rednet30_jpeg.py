"""RED-Net 30 that removes JPEG artefacts of quality 10 to 40.

Run:     python train.py configs/restoration/rednet30_jpeg.py --workdir DIR
Source:  the released models for quality 10 and 20; one network for a range is ours
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.data.degradations import Jpeg
from dpjax.tasks.restoration import Restoration


def get_config() -> Experiment:
    return Experiment(
        task=Restoration(
            degradations=(Jpeg((10, 40)),),
            judged=(Jpeg((10, 10)), Jpeg((20, 20)), Jpeg((30, 30)), Jpeg((40, 40))),
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
        evaluation=Evaluation("dncnn", every_steps=10_000),
        record=Record(log_every=100, save_every=5_000),
        total_steps=300_000,
    )
