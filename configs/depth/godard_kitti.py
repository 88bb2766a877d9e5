"""Godard et al. on KITTI: depth from stereo pairs by left-right consistency.

Trained on pairs of the training scenes of Eigen's split, in folders train/left and
train/right; scored with the annotated depth of 652 images, where published scores are
of the raw scans of 697.  Predictions are blended with those of the mirror image, "pp"
in the paper; `--task.no-flip-average` for the others.  For the paper's ResNet-50
`--model.name monodepth_resnet50`.

Run:     python -m dpjax prepare stereo_pairs --from COPY --name kitti
         python -m dpjax prepare kitti_eigen --from COPY
         python train.py configs/depth/godard_kitti.py --workdir DIR
Expect:  not trained here
Source:  Godard, Mac Aodha & Brostow, CVPR 2017; the authors' code (schedule, split)
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.self_supervised_depth import SelfSupervisedDepth


def get_config() -> Experiment:
    return Experiment(
        task=SelfSupervisedDepth(
            loss="left_right",
            size=(256, 512),
            focal_baseline=0.3137,  # 721.5 pixels of 1242, times 0.54 metres
            flip_average=True,
            also=("kitti_eigen_improved_50_garg",),
        ),
        model=Model("monodepth_vgg"),
        data=Data(
            train=("stereo_pairs/kitti:train",),
            evaluate=("kitti_eigen:test",),
            crop=(256, 512),
            batch_size=8,
            workers=4,
        ),
        # 50 epochs of 22,600 pairs; halved after 3/5 and 4/5.
        optim=Optim(
            "adam", lr=1e-4, schedule="step", drop_at=(84_750, 113_000), drop_by=0.5
        ),
        evaluation=Evaluation("kitti_eigen_improved_80_garg", every_steps=10_000),
        record=Record(log_every=100, save_every=2_500),
        total_steps=141_250,
    )
