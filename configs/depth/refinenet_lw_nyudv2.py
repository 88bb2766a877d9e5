"""Depth of rooms with a small network, from weights of CamVid: labelled NYUv2 images.

The light-weight decoder of RefineNet on the 16-layer net of "Wider or Deeper" at a
quarter of its width, 4.6 million parameters.  Weights of ImageNet are not at hand, so
it starts from `lwrefinenet-camvid`, which learned streets from scratch.  `val` are 109
of the 795 training images, of rooms that `train` does not show.

Run:     python -m dpjax prepare nyudv2_depth --from COPY
         python train.py configs/depth/refinenet_lw_nyudv2.py --workdir DIR
         The CRF on its pixels, on two processor cores in two minutes:
         python train.py configs/depth/refinenet_lw_nyudv2.py --workdir SURE \
             --model.options.crf grid_calibrated --model.compute-dtype float32 \
             --init-from DIR --init-skip "crf/*" --optim.lr-factors "crf/*" 20 "*" 0 \
             --optim.warmup-steps 5 --optim.weight-decay 0 --total-steps 100 \
             --data.batch-size 4
Expect:  rel 0.217, rms 0.878, delta1 0.607 of nyu_eigen on val, means of the images;
         with the CRF 0.217, 0.876, 0.608.  4,634 updates on an H100 at 1,650 images a
         second, 26 % of it waiting for data, after 260 seconds of tuning; images were
         halved before, and their depths rounded to steps of 1.4 %.  Released as
         lwrefinenet-nyudv2
Source:  Nekrasov et al., BMVC 2018; Wu, Shen & van den Hengel, 2016; Silberman et al.,
         ECCV 2012
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.depth import Depth


def get_config() -> Experiment:
    return Experiment(
        task=Depth(
            loss="l1",
            size=(240, 320),
            jitter=0.4,
            also=("nyu_full",),
            has_edges=True,
        ),
        model=Model(
            "refinenet_lw50",
            {
                "backbone": "wide_resnet_16",
                "width": 0.25,
                "num_classes": 1,
                "path_widths": (256, 128, 128, 128),
                "dropout": 0.3,
            },
            compute_dtype="bfloat16",
        ),
        data=Data(
            train=("nyudv2_depth:train",),
            evaluate=("nyudv2_depth:val",),
            crop=(240, 320),
            batch_size=32,
            workers=14,
        ),
        optim=Optim(
            "adamw",
            lr=2e-3,
            schedule="cosine",
            warmup_steps=230,
            weight_decay=0.05,
            ema_decay=0.999,
        ),
        evaluation=Evaluation("nyu_eigen", every_steps=1_000),
        record=Record(log_every=50, save_every=1_000),
        total_steps=4_600,
        init_from="lwrefinenet-camvid",
        init_skip=("decoder/head/*",),
    )
