"""Godard et al. on a few stereo pairs of yours, small, on a processor.

A folder for each scene, with left.png, right.png and, to be scored, disp_left.png.
Where scales.csv does not tell focal length times baseline, depth is in baselines.

Run:     python -m dpjax prepare stereo_pairs --from COPY --name small
         python train.py configs/depth/godard_small_stereo.py --workdir DIR
Expect:  on six pairs of Middlebury's: rel 0.27, delta1 0.59 on two others (teddy,
         reindeer), one run with one seed; their depth is in baselines
Source:  Godard, Mac Aodha & Brostow, CVPR 2017 (network at a quarter of its width)
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.self_supervised_depth import SelfSupervisedDepth


def get_config() -> Experiment:
    return Experiment(
        task=SelfSupervisedDepth(
            size=(96, 128),
            zooms=(1.0, 1.3),
            limits=(1.0, 200.0),
            flip_average=True,
        ),
        model=Model(
            "monodepth_vgg",
            {
                "widths": (8, 16, 32, 64, 128, 128),
                "up_widths": (8, 8, 16, 32, 64, 128),
            },
        ),
        data=Data(
            train=("stereo_pairs/small:train",),
            evaluate=("stereo_pairs/small:test",),
            crop=(96, 128),
            batch_size=8,
        ),
        optim=Optim("adam", lr=5e-4, schedule="cosine", warmup_steps=20),
        evaluation=Evaluation("all_pixels"),
        record=Record(log_every=20, save_every=200),
        total_steps=600,
    )
