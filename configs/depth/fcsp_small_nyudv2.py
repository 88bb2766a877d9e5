"""DCNF-FCSP on NYUv2, small and from scratch, with a CRF whose scale is learned.

The front-end and the CRF are the paper's; the trunk is the 16-layer net of "Wider or
Deeper" at a quarter of its width under the light-weight decoder of RefineNet, since
weights of ImageNet are not at hand.  For the paper's CRF `--model.options.crf paper`,
without a CRF `--model.options.crf none --optim.nonnegative`.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/fcsp_small_nyudv2.py --workdir DIR
Expect:  not trained here
Source:  Liu, Shen, Lin & Reid, PAMI 2016; Silberman et al., ECCV 2012
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.data.superpixels.front_end import Settings
from dpjax.tasks.superpixel_depth import SuperpixelDepth


def get_config() -> Experiment:
    return Experiment(
        task=SuperpixelDepth(
            size=(240, 320),
            jitter=0.3,
            superpixels=Settings(size=10),
            target="median",
            also=("nyu_full",),
            has_edges=True,
        ),
        model=Model(
            "dcnf_fcsp_refinenet_lw50",
            {
                "backbone": "wide_resnet_16",
                "width": 0.25,
                "path_widths": (256, 128, 128, 128),
                "features": 64,
                "tail_widths": (64,),
                "crf": "calibrated",
            },
        ),
        data=Data(
            train=("nyudv2_depth:train",),
            evaluate=("nyudv2_depth:val",),
            crop=(240, 320),
            batch_size=8,
        ),
        optim=Optim(
            "adamw",
            lr=1e-3,
            schedule="cosine",
            warmup_steps=200,
            weight_decay=0.05,
            no_decay=("*/bias", "*/scale", "crf/beta", "crf/log_tau"),
            # They start at 1 and have far to go.
            lr_factors={"crf/beta": 25.0, "crf/log_tau": 25.0},
            nonnegative=("crf/beta",),
            ema_decay=0.998,
        ),
        evaluation=Evaluation("nyu_eigen", every_steps=500),
        record=Record(log_every=50, save_every=250),
        total_steps=3_000,
    )
