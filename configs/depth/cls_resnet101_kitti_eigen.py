"""Depth as one of 50 bins on KITTI in the split of Eigen et al.: ResNet-101.

A bin is so wide there that its centre alone is up to 4.5 % wrong; the expectation over
bins is not.  Truth is the annotated depth of 652 images, the paper's the raw scans of
697.  Schedule and size of the images are ours.

Run:     python -m dpjax prepare kitti_eigen --from COPY
         python train.py configs/depth/cls_resnet101_kitti_eigen.py --workdir DIR \
             --init-from resnet101.safetensors --init-skip "decoder/*" "head/*"
Expect:  not trained here
Source:  Cao, Wu & Shen, TCSVT 2018; Eigen et al., NIPS 2014; Geiger et al., IJRR 2013
"""

import dataclasses

from configs.depth import cls_resnet101_nyudv2
from dpjax.config import Evaluation, Experiment
from dpjax.ops.depth_bins import Bins


def get_config() -> Experiment:
    parent = cls_resnet101_nyudv2.get_config()
    size = (188, 620)
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(
            parent.task,
            bins=Bins(1.0, 80.0, 50),
            size=size,
            has_edges=False,
            also=(
                "kitti_eigen_improved_50_garg",
                "kitti_eigen_improved_80_eigen",
                "kitti_eigen_improved_50_eigen",
            ),
        ),
        model=dataclasses.replace(parent.model, options={"num_classes": 50}),
        data=dataclasses.replace(
            parent.data,
            train=("kitti_eigen:train",),
            evaluate=("kitti_eigen:test",),
            crop=size,
        ),
        evaluation=Evaluation("kitti_eigen_improved_80_garg", every_steps=4_000),
        total_steps=40_000,
    )
