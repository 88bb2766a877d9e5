"""DCNF-FCSP on NYUv2: VGG16 looks at the image once, superpixels share its features.

VGG16, pooling over superpixels and the CRF are the paper's; superpixels of about 20
pixels a side and their similarities are the released code's.  Strides of the last
pools, the convolutions on top, the head, the range of depth and the whole schedule are
ours: the paper's are not at hand.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/fcsp_nyudv2.py --workdir DIR \
             --init-from VGG16 --init-skip "head/*" "decoder/*" "crf/*"
Expect:  rel 0.213, rms 0.759 by the paper; not run here
Source:  Liu, Shen, Lin & Reid, PAMI 2016
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.data.superpixels.front_end import Settings
from dpjax.tasks.superpixel_depth import SuperpixelDepth


def get_config() -> Experiment:
    return Experiment(
        task=SuperpixelDepth(
            size=(480, 640),
            jitter=0.3,
            superpixels=Settings(size=20),
            target="median",
            back_projection="colorize",
            depth_range=(0.5, 10.0),
            also=("nyu_eigen",),
            has_edges=True,
        ),
        model=Model("dcnf_fcsp", {"crf": "paper"}, compute_dtype="bfloat16"),
        data=Data(
            train=("nyudv2_depth:train",),
            evaluate=("nyudv2_depth:test",),
            crop=(480, 640),
            batch_size=8,
            workers=4,
        ),
        optim=Optim(
            "adamw",
            lr=2e-4,
            schedule="cosine",
            warmup_steps=500,
            weight_decay=0.01,
            no_decay=("*/bias", "*/scale", "*beta"),
            lr_factors={"*backbone/*": 0.1},
            nonnegative=("*beta",),
            ema_decay=0.999,
        ),
        # At the end only: the way back to pixels takes a second or two an image.
        evaluation=Evaluation("nyu_full"),
        record=Record(log_every=50, save_every=500),
        total_steps=10_000,
    )
