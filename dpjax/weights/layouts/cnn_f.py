"""CNN-F: the Caffe network of Chatfield et al. (BMVC 2014), whose layers DCNF takes."""

from dpjax.weights import renaming

LAYOUTS = {
    "VGG_CNN_F": renaming.Layout(
        {r"(conv[1-5]|fc6)": r"backbone/\1"},
        ignored=(r"fc[78]\..*",),  # DCNF's own layers come instead
    ),
}
