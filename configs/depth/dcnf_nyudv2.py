"""DCNF on NYUv2, row "pre-train": layers 1 to 6 as ImageNet left them.

The paper's rates are for the sum over the superpixels of an image, about 700 of them;
the loss here is their mean, so the rate is 700 times the paper's 1e-4 and the decay a
700th of its 5e-4: weights move about as far.  Three times 20 epochs, as there, but of
batches of 8 images.  The side of the patches and the range of depth are ours.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/dcnf_nyudv2.py --workdir DIR \
             --init-from CNN_F --init-skip "head/*" "crf/*"
Expect:  rel 0.257, rms 0.843 by the paper; not run here
Source:  Liu, Shen & Lin, CVPR 2015
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.data.superpixels.front_end import Settings
from dpjax.tasks.superpixel_depth import SuperpixelDepth


def get_config() -> Experiment:
    return Experiment(
        task=SuperpixelDepth(
            size=(480, 640),
            superpixels=Settings(size=20),
            target="centroid",
            back_projection="colorize",
            depth_range=(0.5, 10.0),
            also=("nyu_eigen",),
            has_edges=True,
        ),
        model=Model("dcnf", {"box": 120, "crf": "paper"}, compute_dtype="bfloat16"),
        data=Data(
            train=("nyudv2_depth:train",),
            evaluate=("nyudv2_depth:test",),
            crop=(480, 640),
            batch_size=8,
            workers=4,
        ),
        optim=Optim(
            "sgd",
            lr=0.07,
            schedule="step",
            drop_at=(2_000, 4_000),
            drop_by=0.6,
            weight_decay=7e-7,
            lr_factors={"*/conv*": 0.0, "*/fc6/*": 0.0},  # layers 1 to 6
            nonnegative=("*beta",),
        ),
        # At the end only: the way back to pixels takes a second or two an image.
        evaluation=Evaluation("nyu_full"),
        record=Record(log_every=50, save_every=500),
        total_steps=6_000,
    )
