"""Garg et al. on KITTI: depth from stereo pairs by the photometric error.

Network, size, batch and number of steps are those of the authors' release, the loss is
the paper's, at full size from the first step on, where the paper goes from coarse to
fine; the release learns by total variation and absolute errors.  The rate is ours: the
release prints 10e-3, ten times as much; neither was tried here.  Trained on pairs of
the training scenes in folders train/left and train/right, scored with the annotated
depth of 652 images; published scores are of the raw scans of 697.

Run:     python -m dpjax prepare stereo_pairs --from COPY --name kitti
         python -m dpjax prepare kitti_eigen --from COPY
         python train.py configs/depth/garg_kitti.py --workdir DIR
Expect:  not trained here; the release has rel 0.138, rms 4.40 up to 50 m
Source:  Garg, Kumar, Carneiro & Reid, ECCV 2016; their release
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.self_supervised_depth import SelfSupervisedDepth


def get_config() -> Experiment:
    return Experiment(
        task=SelfSupervisedDepth(
            loss="photometric",
            smoothness=0.01,
            size=(160, 608),
            colours=False,
            focal_baseline=0.3137,  # 721.5 pixels of 1242, times 0.54 metres
            also=("kitti_eigen_improved_80_garg",),
        ),
        model=Model("garg2016_resnet50"),
        data=Data(
            train=("stereo_pairs/kitti:train",),
            evaluate=("kitti_eigen:test",),
            crop=(160, 608),
            batch_size=56,  # 14 on each of 4 processors
            workers=4,
        ),
        optim=Optim(
            "adam",
            lr=1e-3,  # the release prints 10e-3
            weight_decay=1e-4,
            lr_factors={"decoder/scale_*": 0.01},
        ),
        evaluation=Evaluation("kitti_eigen_improved_50_garg", every_steps=5_000),
        record=Record(log_every=100, save_every=1_000),
        total_steps=40_000,
    )
