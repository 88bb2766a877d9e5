"""DeepLab-LargeFOV on PASCAL VOC 2012 with the additional labels of SBD.

Run:     python -m dpjax convert vgg16 vgg16.pth -o vgg16.safetensors
         python train.py configs/segmentation/deeplab_largefov_voc2012.py \
             --workdir DIR --init-from vgg16.safetensors \
             --init-skip "decoder/*" "head/*"
         python evaluate.py --workdir DIR --protocol largefov_crf
Expect:  62.3 % mIoU on val by the paper, 67.6 with a dense CRF; not run here
Source:  Chen et al., ICLR 2015; crop, batch, rates and their drops of the authors'
         prototxt and solver.  Batches have 30 images there, 32 here so that eight
         devices share them; fc6 and fc7 begin with a part of VGG16's weights there,
         fresh here.  Images are standardised as torchvision's weights want them, not as
         Caffe's
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.segmentation import Segmentation


def get_config() -> Experiment:
    return Experiment(
        task=Segmentation(
            scales=(1.0, 1.0), loss_at="scores", upsampling="align_corners"
        ),
        model=Model(
            "deeplab_largefov_vgg16",
            {"num_classes": 21, "input_style": "imagenet"},
            compute_dtype="bfloat16",
        ),
        data=Data(
            train=("voc2012:train_aug",),
            evaluate=("voc2012:val",),
            crop=(321, 321),
            batch_size=32,
            workers=4,
        ),
        optim=Optim(
            "sgd",
            lr=1e-3,
            schedule="step",
            drop_at=(2_000, 4_000),
            weight_decay=5e-4,
            lr_factors={
                "decoder/head/bias": 20.0,
                "decoder/head/*": 10.0,
                "*/bias": 2.0,
            },
        ),
        evaluation=Evaluation("whole", every_steps=2_000),
        record=Record(log_every=50, save_every=1_000),
        total_steps=6_000,
    )
