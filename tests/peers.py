"""Public PyTorch networks as oracles, with random weights that nothing forgives.

Fresh batch statistics are 0 and 1 and fresh scales 1, so a network that ignored or
exchanged them would still agree; here they are all drawn at random.
"""

import numpy as np

from benchmarks import measure, torch_timm

timm = torch_timm.load
random_variables = measure.random_variables


def randomise(network, seed: int = 0):
    """Gives every batch normalisation of a PyTorch network random numbers; returns it.

    Kernels are drawn so that activations keep their size through the network.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)

    def uniform(like, low, high):
        return low + (high - low) * torch.rand(like.shape, generator=generator)

    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
                layer.weight.copy_(uniform(layer.weight, 0.5, 1.5))
                layer.bias.copy_(uniform(layer.bias, -0.5, 0.5))
                layer.running_mean.copy_(uniform(layer.running_mean, -0.5, 0.5))
                layer.running_var.copy_(uniform(layer.running_var, 0.5, 2.0))
            elif isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
                fan_in = layer.weight[0].numel()
                noise = torch.randn(layer.weight.shape, generator=generator)
                layer.weight.copy_(noise / fan_in**0.5)
                if layer.bias is not None:
                    layer.bias.copy_(uniform(layer.bias, -0.5, 0.5))
    return network.eval()


def arrays(network) -> dict[str, np.ndarray]:
    """The state of a PyTorch network as NumPy arrays."""
    return {name: value.numpy() for name, value in network.state_dict().items()}


def output(network, images: np.ndarray) -> np.ndarray:
    """What a PyTorch network makes of images [b, h, w, c], channels last again."""
    import torch

    with torch.no_grad():
        result = network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    result = result.numpy()
    return result.transpose(0, 2, 3, 1) if result.ndim == 4 else result


def relative_error(ours, theirs) -> float:
    """The largest difference, relative to the largest value."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
