"""The coarse network of Eigen et al. (2014) on KITTI; the fine one comes on top of it.

Rates are those of NYUv2; the size of the images and the schedule are ours.  Truth is
the annotated depth of 652 images to test on, the paper's the raw scans of 697.

Run:     python -m dpjax prepare kitti_eigen --from COPY
         python train.py configs/depth/eigen2014_coarse_kitti_eigen.py --workdir COARSE
         python train.py configs/depth/eigen2014_kitti_eigen.py --workdir DIR \
             --init-from COARSE --init-skip "decoder/fine*" "decoder/head/*"
Expect:  not trained here
Source:  Eigen, Puhrsch & Fergus, NIPS 2014; Geiger et al., IJRR 2013
"""

import dataclasses

from configs.depth import eigen2014_coarse_nyudv2
from dpjax.config import Experiment


def get_config() -> Experiment:
    parent = eigen2014_coarse_nyudv2.get_config()
    size = (172, 576)
    return dataclasses.replace(
        parent,
        task=dataclasses.replace(
            parent.task,
            size=size,
            has_edges=False,
            also=(
                "kitti_eigen_improved_50_eigen",
                "kitti_eigen_improved_80_garg",
                "kitti_eigen_improved_50_garg",
            ),
        ),
        model=dataclasses.replace(
            parent.model, options={**parent.model.options, "image_size": size}
        ),
        data=dataclasses.replace(
            parent.data,
            train=("kitti_eigen:train",),
            evaluate=("kitti_eigen:test",),
            crop=size,
        ),
        evaluation=dataclasses.replace(
            parent.evaluation, protocol="kitti_eigen_improved_80_eigen"
        ),
        total_steps=40_000,
    )
