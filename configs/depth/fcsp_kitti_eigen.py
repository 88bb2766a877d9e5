"""DCNF-FCSP on KITTI in the split of Eigen et al., scored up to 80 and up to 50 metres.

Superpixels without a lidar point have no depth; the likelihood is that of the others.
The paper is scored on the raw scans of 697 images.  These records have the annotated
depth of 652, so scores are of another, denser truth; on raw scans that you projected,
prepared as rgbd_folder, score by kitti_eigen_raw_80_garg and its like.

Run:     python -m dpjax prepare kitti_eigen --from COPY
         python train.py configs/depth/fcsp_kitti_eigen.py --workdir DIR \
             --init-from VGG16 --init-skip "head/*" "decoder/*" "crf/*"
Expect:  rel 0.217, rms 7.046 by the paper, raw scans up to 80 metres; not run here
Source:  Liu, Shen, Lin & Reid, PAMI 2016; Eigen et al., NIPS 2014; Geiger et al., IJRR
         2013
"""

import dataclasses

from configs.depth import fcsp_nyudv2
from dpjax.config import Evaluation, Experiment
from dpjax.data.superpixels.front_end import Settings


def get_config() -> Experiment:
    parent = fcsp_nyudv2.get_config()
    size = (181, 600)  # the longer side as in the released code
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(
            parent.task,
            size=size,
            superpixels=Settings(size=16),
            depth_range=(1.0, 80.0),
            has_edges=False,
            also=(
                "kitti_eigen_improved_50_garg",
                "kitti_eigen_improved_80_eigen",
                "kitti_eigen_improved_50_eigen",
            ),
        ),
        data=dataclasses.replace(
            parent.data,
            train=("kitti_eigen:train",),
            evaluate=("kitti_eigen:test",),
            crop=size,
            batch_size=16,
        ),
        evaluation=Evaluation("kitti_eigen_improved_80_garg"),
        total_steps=20_000,
    )
