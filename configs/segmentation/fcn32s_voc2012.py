"""FCN-32s on PASCAL VOC 2012 with the additional labels of SBD.

Run:     python -m dpjax convert fcn32s_vgg16 vgg16.pth -o vgg16.safetensors \
             --skip "decoder/head/*" --option input_style=imagenet
         python train.py configs/segmentation/fcn32s_voc2012.py --workdir DIR \
             --init-from vgg16.safetensors --init-skip "decoder/head/*"
Expect:  63.6 % mIoU on seg11valid by the authors; not run here
Source:  Long, Shelhamer & Darrell, CVPR 2015.  Their loss is the sum over the pixels of
         one image, at a rate of 1e-10 and a momentum of 0.99; the mean over 16 crops
         here, at a rate that moves the weights about as far.  Images are standardised
         as torchvision's weights want them, not as Caffe's
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.segmentation import Segmentation


def get_config() -> Experiment:
    return Experiment(
        task=Segmentation(scales=(1.0, 1.0), mirror=False),
        model=Model(
            "fcn32s_vgg16",
            {"num_classes": 21, "input_style": "imagenet"},
            compute_dtype="bfloat16",
        ),
        data=Data(
            train=("voc2012:train_aug",),
            evaluate=("voc2012:val",),
            crop=(500, 500),
            batch_size=16,
            workers=4,
        ),
        optim=Optim(
            "sgd",
            lr=1e-3,
            weight_decay=5e-4,
            lr_factors={"*/bias": 2.0},
        ),
        evaluation=Evaluation("whole", every_steps=5_000),
        record=Record(log_every=50, save_every=1_000),
        total_steps=50_000,
    )
