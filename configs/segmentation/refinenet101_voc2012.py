"""RefineNet-101 on PASCAL VOC 2012 with the additional labels of SBD.

Run:     python -m dpjax prepare voc2012 --from COPY    (with SBD's labels: train_aug)
         python -m dpjax convert resnet101 resnet101.pth -o resnet101.safetensors
         python train.py configs/segmentation/refinenet101_voc2012.py --workdir DIR \
             --init-from resnet101.safetensors --init-skip "decoder/*" "head/*"
         python evaluate.py --workdir DIR --protocol refinenet_scales_crf
Expect:  82.4 % mIoU on test by the paper, which trains on MS-COCO first; not run here
         (the paper has a CRF on this set alone; without: refinenet_scales)
Source:  Lin et al., CVPR 2017; the authors' code: batches of 1, learning rate 5e-4
         dropped once by hand.  16 images an update and a drop after two thirds here.
         Images, strides and first pool suit torchvision's weights, not Caffe's.
         The paper's chained pooling has two links that pool first; the released code
         has four (--model.options.pooling-stages 4)
"""

from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.tasks.segmentation import Segmentation


def get_config() -> Experiment:
    return Experiment(
        task=Segmentation(
            scales=(0.7, 1.3),
            scale_step=0.1,
            short_side=(450, 1100),
            by_class=True,
            loss_at="scores",
            upsampling="cubic",
        ),
        model=Model(
            "refinenet101_official",
            {
                "num_classes": 21,
                "norm": "frozen",
                "input_style": "imagenet",
                "variant": "v1.5",
                "pool_pad": "symmetric",
                "pooling_stages": 2,
                "pooling_order": "pool_conv",
            },
            compute_dtype="bfloat16",
        ),
        data=Data(
            train=("voc2012:train_aug",),
            evaluate=("voc2012:val",),
            crop=(400, 400),
            batch_size=16,
            workers=4,
        ),
        optim=Optim(
            "sgd",
            lr=2e-3,
            schedule="step",
            drop_at=(40_000,),
            weight_decay=5e-4,
            no_decay=(),
            lr_factors={"backbone/*": 0.1},
        ),
        evaluation=Evaluation("whole", every_steps=5_000),
        record=Record(log_every=50, save_every=1_000),
        total_steps=60_000,
    )
