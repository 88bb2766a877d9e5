"""Depth as one of 100 bins on KITTI, from a network that knows what is farther: RDIS.

All but the last layer begins as a ranking ends, of stereo films as the paper has it or
`redweb_resnet50_ranking_nyudv2`.  Truth is the annotated depth of 652 images, the
paper's the raw scans of 697.  Bins, schedule and size of the images are ours.

Run:     python -m dpjax prepare kitti_eigen --from COPY
         python train.py configs/depth/redweb_resnet50_bins_kitti_eigen.py \
             --workdir DIR --init-from RUN_OF_RANKING --init-skip "decoder/head/*"
Expect:  not trained here; the paper has rel 0.120, rms 4.533 of up to 80 m
Source:  Cao et al., TCSVT 2020; Cao, Wu & Shen, TCSVT 2018; Xian et al., CVPR 2018;
         Eigen et al., NIPS 2014; Geiger et al., IJRR 2013
"""

import dataclasses

from configs.depth import cls_resnet101_kitti_eigen, redweb_resnet50_bins_nyudv2
from dpjax.config import Experiment
from dpjax.ops.depth_bins import Bins


def get_config() -> Experiment:
    network = redweb_resnet50_bins_nyudv2.get_config()
    roads = cls_resnet101_kitti_eigen.get_config()
    return dataclasses.replace(
        network,
        task=dataclasses.replace(
            network.task,
            bins=Bins(1.0, 80.0, 100),
            size=roads.task.size,
            has_edges=False,
            also=roads.task.also,
        ),
        data=dataclasses.replace(
            network.data,
            train=roads.data.train,
            evaluate=roads.data.evaluate,
            crop=roads.data.crop,
        ),
        evaluation=roads.evaluation,
        total_steps=roads.total_steps,
    )
