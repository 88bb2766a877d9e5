"""The continuous CRF on the pixels of a network whose numbers are known."""

import functools

import jax
import numpy as np
import pytest
from flax import linen as nn
from jax import numpy as jnp
from scipy import sparse
from scipy.sparse import linalg

from dpjax import errors
from dpjax.inference import windows
from dpjax.models import depth_networks, grid_crf, segmenter, zoo
from dpjax.tasks import depth
from tests import peers

SIZE = (14, 19)
# Compiling is nearly all of the work.
QUICKLY = {"xla_backend_optimization_level": 0}
SMALL = {"blocks": (1, 1, 1, 1), "path_widths": (4, 4, 4, 4), "num_classes": 1}


class Trunk(nn.Module):
    """A pyramid of one map: every `stride`-th pixel."""

    stride: int = 1

    def __call__(self, images, train=False):
        return {self.stride: images[:, :: self.stride, :: self.stride]}


class Head(nn.Module):
    """Numbers by one matrix."""

    count: int = 1
    align_corners: bool = True
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, pyramid, size, train=False):
        (features,) = pyramid.values()
        numbers = nn.Dense(self.count, dtype=self.dtype, name="head")
        return 5 * numbers(features.astype(self.dtype))


def network(stride=1, align_corners=True, dtype=jnp.float32, count=1, **options):
    head = Head(count, align_corners, dtype)
    return grid_crf.GridCrf(segmenter.Segmenter(Trunk(stride), head, 5), **options)


@pytest.fixture(scope="module")
def images():
    from skimage import data

    image = data.coffee()[100:240:10, 200:390:10].astype(np.float32) / 255
    return np.stack([image, image[::-1]])


def variables_of(module, images, **crf):
    found = jax.jit(module.init, compiler_options=QUICKLY)(jax.random.key(0), images)
    params = found["params"]
    return {"params": {**params, "crf": {**params["crf"], **crf}}}


def output(module, variables, images, **options):
    call = functools.partial(module.apply, **options)
    return np.asarray(jax.jit(call, compiler_options=QUICKLY)(variables, images))


def inner(module, variables, images):
    return np.asarray(module.segmenter.apply(variables, images))[..., 0]


def matrix(image, beta, gammas):
    """A of one image, edge by edge, in float64."""
    h, w = image.shape[:2]
    a = sparse.lil_matrix((h * w, h * w))
    for i in range(h):
        for j in range(w):
            p = i * w + j
            a[p, p] += 1
            for u, v in ((i, j + 1), (i + 1, j)):
                if u < h and v < w:
                    q = u * w + v
                    step = image[i, j].astype(np.float64) - image[u, v]
                    far = np.sqrt((step**2).mean())
                    r = sum(
                        b * np.exp(-g * far) for b, g in zip(beta, gammas, strict=True)
                    )
                    a[p, p] += r
                    a[q, q] += r
                    a[p, q] -= r
                    a[q, p] -= r
    return a.tocsc()


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_answer_is_the_sparse_solution_for_the_numbers_of_the_network(
    images, dtype
):
    module = network(dtype=dtype, pairwise="projected")
    beta = np.array([0.5, 20.0, 8.0], np.float32)
    variables = variables_of(module, images, beta=beta)
    found = output(module, variables, images)
    assert (found.shape, found.dtype) == ((2, *SIZE, 1), np.float32)
    # Under jit, half precision may round elsewhere; the network is called as it is.
    z = output(module.segmenter, variables, images)[..., 0]
    for image, said, got in zip(images, z, found[..., 0], strict=True):
        a = matrix(image, beta, module.gammas)
        want = linalg.spsolve(a, said.ravel().astype(np.float64)).reshape(SIZE)
        np.testing.assert_allclose(got, want, atol=2e-5 * np.abs(said).max())
        assert np.abs(want - said).max() > 0.1 * np.ptp(said)


@pytest.mark.parametrize("pairwise", ["projected", "softplus"])
@pytest.mark.parametrize("train", [True, False])
def test_strengths_of_0_leave_what_the_network_says(images, pairwise, train):
    module = network(pairwise=pairwise)
    nothing = np.full(3, 0 if pairwise == "projected" else -200, np.float32)
    variables = variables_of(module, images, beta=nothing)
    found = output(module, variables, images, train=train)[..., 0]
    np.testing.assert_allclose(found, inner(module, variables, images), atol=1e-6)


def test_strengths_begin_where_they_are_told_to(images):
    plain = network(pairwise="projected", beta=0.7, gammas=(3.0,))
    soft = network(pairwise="softplus", beta=0.7, gammas=(3.0,))
    one, two = (variables_of(m, images) for m in (plain, soft))
    np.testing.assert_allclose(one["params"]["crf"]["beta"], [0.7], rtol=1e-6)
    np.testing.assert_allclose(
        nn.softplus(two["params"]["crf"]["beta"]), [0.7], rtol=1e-6
    )
    np.testing.assert_allclose(
        output(plain, one, images), output(soft, two, images), rtol=1e-5
    )


def test_the_network_keeps_the_paths_that_it_has_without(images):
    module = network(has_deviations=True)
    both, below = (
        jax.eval_shape(m.init, jax.random.key(0), images)
        for m in (module, module.segmenter)
    )
    assert set(both["params"].pop("crf")) == {"beta", "log_tau"}
    assert both == below
    for name in ("channels", "stride", "halo", "is_dense", "smallest_side"):
        assert getattr(module, name) == getattr(module.segmenter, name)


def test_slopes_are_those_of_the_dense_solution_in_double_precision(images):
    small = images[:, :5, :6].astype(np.float64)
    gammas = (0.0, 10.0)
    module = network(pairwise="projected", gammas=gammas, dtype=jnp.float64)
    rng = np.random.default_rng(0)
    pull = rng.normal(size=(2, 30))
    beta = np.array([0.4, 6.0])
    weights = {
        "kernel": rng.normal(size=(3, 1)),
        "bias": rng.normal(size=1),
    }

    def cost(kernel, bias, beta):
        z = 5 * (small @ kernel + bias)[..., 0].reshape(2, -1)
        solved = [
            np.linalg.solve(matrix(x, beta, gammas).toarray(), said)
            for x, said in zip(small, z, strict=True)
        ]
        return (pull * np.stack(solved)).sum()

    with jax.enable_x64(True):

        @jax.jit
        def slopes(head, beta):
            def value(head, beta):
                params = {"decoder": {"head": head}, "crf": {"beta": beta}}
                found = module.apply({"params": params}, small)
                return (pull * found.reshape(2, -1)).sum()

            return jax.grad(value, argnums=(0, 1))(head, beta)

        head, along = jax.device_get(slopes(weights, beta))
    step = 1e-5

    def difference(change):
        up, down = (
            cost(*change(weights["kernel"], weights["bias"], beta, sign * step))
            for sign in (1, -1)
        )
        return (up - down) / (2 * step)

    for k in range(2):
        want = difference(lambda a, b, c, h, k=k: (a, b, c + h * np.eye(2)[k]))
        np.testing.assert_allclose(along[k], want, rtol=1e-3)
    for i in range(3):
        want = difference(lambda a, b, c, h, i=i: (a + h * np.eye(3)[:, [i]], b, c))
        np.testing.assert_allclose(head["kernel"][i, 0], want, rtol=1e-3)
    want = difference(lambda a, b, c, h: (a, b + h, c))
    np.testing.assert_allclose(head["bias"][0], want, rtol=1e-3)


def test_deviations_are_those_of_the_gaussian(images):
    module = network(has_deviations=True, pairwise="projected", probes=40)
    beta = np.array([0.2, 2.0, 1.0], np.float32)
    variables = variables_of(module, images, beta=beta, log_tau=np.float32(1.5))
    found = output(module, variables, images[:1])
    assert found.shape == (1, *SIZE, 2)
    inverse = np.linalg.inv(matrix(images[0], beta, module.gammas).toarray())
    want = np.sqrt(np.diag(inverse) / (2 * np.exp(1.5))).reshape(SIZE)
    # A deviation misses at most 1 / sqrt(2 probes) of itself, 11 %.
    off = found[0, ..., 1] / want - 1
    assert np.abs(off).max() < 4 * 0.11
    assert np.sqrt((off**2).mean()) < 0.11
    assert np.ptp(want) > 0.3 * want.mean()
    plain = network(pairwise="projected")
    params = {**variables["params"], "crf": {"beta": beta}}
    alone = output(plain, {"params": params}, images[:1])
    np.testing.assert_allclose(found[..., :1], alone, atol=1e-6)


def test_deviations_teach_their_scale_alone(images):
    module = network(has_deviations=True)
    variables = variables_of(module, images)

    @functools.partial(jax.jit, compiler_options=QUICKLY)
    def slopes(params):
        def total(params):
            found = module.apply(
                {"params": params},
                images,
                train=True,
                rngs={"dropout": jax.random.key(1)},
            )
            return jnp.log(found[..., 1]).sum()

        return jax.grad(total)(params)

    found = slopes(variables["params"])
    # The logarithm of a deviation is -1/2 ln tau and something.
    np.testing.assert_allclose(
        found["crf"].pop("log_tau"), -SIZE[0] * SIZE[1], rtol=1e-5
    )
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(found))


@pytest.mark.parametrize("align_corners", [True, False])
def test_smaller_maps_are_enlarged_as_their_network_says(images, align_corners):
    module = network(stride=2, align_corners=align_corners, pairwise="projected")
    variables = variables_of(module, images, beta=np.zeros(3, np.float32))
    found = output(module, variables, images)[..., 0]
    want = inner(module, variables, images)
    for axis, length in ((1, SIZE[0]), (2, SIZE[1])):
        few = want.shape[axis]
        place = np.arange(length) * (few - 1) / (length - 1)
        if not align_corners:
            place = ((np.arange(length) + 0.5) * few / length - 0.5).clip(0, few - 1)
        weight = np.maximum(1 - np.abs(place[:, None] - np.arange(few)), 0)
        want = np.moveaxis(np.tensordot(weight, want, (1, axis)), 0, axis)
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4)


def test_an_engine_gives_depth_and_deviation_that_the_task_reads(images):
    module = network(stride=2, has_deviations=True, probes=2, gammas=(5.0,))
    variables = variables_of(module, images)
    engine = windows.Engine(module, variables, devices=jax.devices()[:1])
    found = engine(images[0])
    want = output(module, variables, images[:1])[0]
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)
    task = depth.Depth(limits=(1e-6, 1e6))
    said = task.predicted(images[0], found)
    np.testing.assert_allclose(said.depth, np.exp(want[..., 0]), rtol=1e-4)
    np.testing.assert_allclose(said.deviation, want[..., 1], rtol=1e-4)
    record = {"image": np.uint8(255 * images[0]), "depth": said.depth, "id": "x"}
    row = task.score(record, "", images[0], found, "all_pixels")
    assert row["rel"] < 1e-5
    assert "coverage1_image" in task.summarise([row])


def test_grey_images_have_strengths_too(images):
    module = network(pairwise="projected")
    colour = np.repeat(images[..., :1], 3, -1)
    variables = variables_of(module, colour)
    z = module.segmenter.apply(variables, colour)

    class Said(nn.Module):
        align_corners, channels, stride, smallest_side = True, 1, 1, 1

        def __call__(self, grey, train=False):
            return z

    crf = grid_crf.GridCrf(Said(), pairwise="projected")
    alone = {"params": {"crf": variables["params"]["crf"]}}
    np.testing.assert_allclose(
        output(crf, alone, images[..., :1]),
        output(module, variables, colour),
        rtol=1e-4,
        atol=1e-5,
    )


def test_the_zoo_builds_it_on_any_network_of_one_number():
    for name in ("refinenet_lw50", "fcrn_resnet50", "fcn8s_vgg16"):
        module = zoo.create_module(
            name, num_classes=1, crf="grid_calibrated", beta=3.0, gammas=[0.0, 5.0]
        )
        assert isinstance(module, grid_crf.GridCrf)
        assert (module.beta, module.gammas, module.has_deviations) == (3, (0, 5), True)
        hash(module)  # compiled programs are kept by it
        assert zoo.list_options(name)["pairwise"] == "softplus"
    assert not zoo.create_module(name, num_classes=1, crf="grid").has_deviations


def test_a_network_for_one_size_is_joined_there(images):
    """Its numbers are few, and stand for the image as they do without a CRF."""
    size, options = (64, 72), {"widths": (4, 5, 6, 7, 8), "fc_width": 9}
    options |= {"image_size": size, "fine_widths": (6, 5)}
    image = np.kron(images[:1], np.ones((1, 5, 4, 1), np.float32))
    image = image[:, : size[0], : size[1]]
    module = zoo.create_module(
        "eigen2014", crf="grid", pairwise="projected", gammas=[1.0, 20.0], **options
    )
    assert zoo.example_input(module).shape == (1, *size, 3)
    variables = peers.random_variables(module)
    beta = np.array([0.5, 20.0], np.float32)
    variables["params"]["crf"] = {"beta": beta}
    found = output(module, variables, image)
    assert found.shape == (1, *size, 1)
    plain = zoo.create_module("eigen2014", **options)
    below = {k: v for k, v in variables["params"].items() if k != "crf"}
    few = output(plain, {"params": below}, image)[..., 0]
    assert few.shape == (1, 14, 16)
    for picture, said, got in zip(image, few, found[..., 0], strict=True):
        z = said.astype(np.float64)
        for axis, length in enumerate(size):
            place = (np.arange(length) + 0.5) * z.shape[axis] / length - 0.5
            place = place.clip(0, z.shape[axis] - 1)
            weight = 1 - np.abs(place[:, None] - np.arange(z.shape[axis]))
            z = np.moveaxis(np.tensordot(weight.clip(0), z, (1, axis)), 0, axis)
        a = matrix(picture, beta, (1.0, 20.0))
        want = linalg.spsolve(a, z.ravel()).reshape(size)
        np.testing.assert_allclose(got, want, atol=2e-4 * np.abs(z).max())
        assert np.abs(want - z).max() > 0.05 * np.ptp(z)


def test_a_network_for_one_size_refuses_others_below_a_crf(images):
    module = zoo.create_module("eigen_fergus2015_vgg16", crf="grid_calibrated")
    assert module.has_deviations
    assert tuple(module.image_size) == (228, 304)
    with pytest.raises(errors.UserError, match="228 rows and 304 columns"):
        jax.eval_shape(module.init, jax.random.key(0), images)
    assert tuple(network().image_size) == ()


@pytest.mark.parametrize("name", sorted(depth_networks.FIXED_SIZE))
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crf": "grid", "num_classes": 2}, "network gives 2. Pass num_classes=1"),
        ({"crf": "lattice"}, "Unknown crf"),
        ({"crf": "grid", "gammas": ()}, "one of gammas or several"),
        ({"gammas": (1.0,)}, 'gammas is an option of crf="grid"'),
    ],
)
def test_a_network_for_one_size_explains_what_it_cannot_have(name, options, message):
    assert {"crf", *grid_crf.OPTIONS} <= set(zoo.list_options(name))
    with pytest.raises(errors.UserError, match=message):
        zoo.create_module(name, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crf": "grid", "num_classes": 21}, "network gives 21. Pass num_classes=1"),
        ({"crf": "gird"}, "Did you mean grid"),
        ({"crf": "grid", "beta": -1.0}, "beta at 0 or above"),
        ({"crf": "grid", "pairwise": "clipped"}, "Unknown pairwise"),
        ({"crf": "grid", "gammas": ()}, "one of gammas or several"),
        ({"crf": "grid", "gammas": (-1.0,)}, "one of gammas or several"),
        ({"crf": "grid_calibrated", "probes": 0}, "1 or more probes"),
        ({"crf": "grid", "max_over_scales": (1.0, 0.5)}, "wants one map"),
        ({"beta": 2.0}, 'beta is an option of crf="grid"'),
    ],
)
def test_options_that_cannot_work_are_refused(options, message):
    with pytest.raises(errors.UserError, match=message):
        zoo.create_module("refinenet_lw50", **{**SMALL, **options})


def test_a_network_of_several_numbers_is_refused(images):
    with pytest.raises(errors.UserError, match="one number for each pixel, got 2"):
        network(count=2).init(jax.random.key(0), images)
