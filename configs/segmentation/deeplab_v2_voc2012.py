"""DeepLab-v2 on PASCAL VOC 2012 with the additional labels of SBD.

Run:     python -m dpjax convert resnet101 resnet101.pth -o resnet101.safetensors
         python train.py configs/segmentation/deeplab_v2_voc2012.py --workdir DIR \
             --init-from resnet101.safetensors --init-skip "decoder/*" "head/*"
Expect:  76.4 % mIoU on val by the authors, three scales, from weights of MS-COCO, 77.7
         with a dense CRF; not run here
Source:  Chen et al., PAMI 2018; the losses of three scales and of their maximum are
         added, as in the released prototxt.  Images and strides are those of
         torchvision's weights, not of Caffe's
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.segmentation import Segmentation


def get_config() -> Experiment:
    return Experiment(
        task=Segmentation(
            scales=(0.5, 1.5), loss_at="scores", upsampling="align_corners"
        ),
        model=Model(
            "deeplab_v2_resnet101",
            {
                "num_classes": 21,
                "norm": "frozen",
                "input_style": "imagenet",
                "variant": "v1.5",
                "max_over_scales": (1.0, 0.75, 0.5),
            },
            compute_dtype="bfloat16",
        ),
        data=Data(
            train=("voc2012:train_aug",),
            evaluate=("voc2012:val",),
            crop=(321, 321),
            batch_size=16,
            workers=4,
        ),
        optim=Optim(
            "sgd",
            lr=2.5e-4,
            schedule="polynomial",
            weight_decay=5e-4,
            lr_factors={"decoder/*/bias": 20.0, "decoder/*": 10.0},
        ),
        evaluation=Evaluation("whole", every_steps=5_000),
        record=Record(log_every=50, save_every=1_000),
        total_steps=20_000,
    )
