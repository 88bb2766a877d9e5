"""Depth of superpixels, joined by a continuous CRF: DCNF and DCNF-FCSP.

Liu, Shen & Lin, CVPR 2015; Liu, Shen, Lin & Reid, PAMI 2016.  Networks give depth as
y = (ln d - ln d_min) / (ln d_max - ln d_min); the CRF is trained by its exact
likelihood, also where only some superpixels have a depth.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from dpjax import config, errors
from dpjax.data import crop_window, depth_files
from dpjax.data.superpixels import back_projection as projections
from dpjax.data.superpixels import cache, front_end, graph, targets
from dpjax.models import zoo
from dpjax.ops.crf import dense_precision, gaussian
from dpjax.tasks import depth, task

# What a network takes besides the image, and the type of its batches.
_GRAPH = ("regions", "region_valid", "region_centroids", "edges", "similarities")


@dataclasses.dataclass(frozen=True)
class SuperpixelDepth(depth.Depth):
    """Depth maps made of superpixels.

    Attributes:
        zooms: 1 and 1: images are cut up as a whole.
        superpixels: how images are cut, after they have `size`.
        target: which depth of a superpixel is learned; see `targets.log_depths`.
        least_known: pixels of known depth that a superpixel needs to be learned from by
            "mean" and "median"; some lasers leave many with one or two.
        back_projection: from superpixels to pixels; "none", "colorize" or "guided".
        depth_range: d_min and d_max, metres.
        unit: the default; y is made of logarithms.
    """

    _meaning: ClassVar[tuple[str, ...]] = ("depth_range",)

    zooms: tuple[float, float] = (1.0, 1.0)
    superpixels: front_end.Settings = dataclasses.field(
        default_factory=front_end.Settings
    )
    target: targets.How = "centroid"
    least_known: int = 1
    back_projection: projections.Mode = "none"
    depth_range: tuple[float, float] = (0.5, 10.0)

    def check(self, experiment: config.Experiment) -> None:
        super().check(experiment)
        crop = tuple(experiment.data.crop)
        rules = (
            (
                "size",
                self.size,
                f"data.crop, {crop}, because images are cut up as a whole",
                lambda v: tuple(v) == crop,
            ),
            (
                "zooms",
                self.zooms,
                "1 and 1, because images are cut up as a whole",
                lambda v: tuple(v) == (1, 1),
            ),
            (
                "unit",
                self.unit,
                "log_metres, because y is made of logarithms",
                lambda v: v == "log_metres",
            ),
            (
                "least_known",
                self.least_known,
                'at least 1, and 1 with the target "centroid", which is one pixel',
                lambda v: v == 1 or (v > 1 and self.target != "centroid"),
            ),
            (
                "depth_range",
                self.depth_range,
                "rising, above 0",
                lambda v: 0 < v[0] < v[1],
            ),
        )
        config.check_rules(rules, "task.")
        front_end.bucket(crop, self.superpixels, name="An image")

    def _check_model(self, model: config.Model) -> None:
        known = zoo.list_superpixel_networks()
        if model.name not in known:
            raise errors.UserError(
                "Depth of superpixels wants a network over superpixels, got "
                f"{model.name}. Choose one of {', '.join(known)}."
            )

    def batch_spec(
        self, data: config.Data, batch_size: int
    ) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns shapes and types of a training batch.

        Returns:
            image, what `Dcnf.example_inputs` says of superpixels, log_depth and
            labelled of each, valid, position.
        """
        count = front_end.bucket(tuple(data.crop), self.superpixels, name="An image")
        edges = front_end.EDGES * count
        shapes = {
            "image": ((*data.crop, 3), jnp.uint8),
            "regions": (tuple(data.crop), jnp.int32),
            "region_valid": ((count,), jnp.bool_),
            "region_centroids": ((count, 2), jnp.float32),
            "edges": ((edges, 2), jnp.int32),
            "similarities": ((edges, 3), jnp.float32),
            "log_depth": ((count,), jnp.float32),
            "labelled": ((count,), jnp.bool_),
            "valid": ((), jnp.bool_),
            "position": ((), jnp.int32),
        }
        return {
            name: jax.ShapeDtypeStruct((batch_size, *shape), dtype)
            for name, (shape, dtype) in shapes.items()
        }

    def train_example(
        self, record: task.Example, rng: np.random.Generator, data: config.Data
    ) -> dict[str, np.ndarray]:
        """Returns a whole image, mirrored or not, and its superpixels.

        Args:
            record: `image` uint8 [h, w, 3] and `depth` float32 [h', w'], metres, 0
                where there is none.

        Returns:
            What `batch_spec` says of one example.
        """
        image = crop_window.resize(record["image"], self._size(record["image"]))
        metres = record["depth"]
        rows, columns = (
            crop_window.nearest(np.arange(side), side, length)
            for side, length in zip(image.shape[:2], metres.shape, strict=True)
        )
        metres = metres[np.ix_(rows, columns)]
        if self.mirror and rng.random() < 0.5:
            image, metres = (np.ascontiguousarray(a[:, ::-1]) for a in (image, metres))
        arrays = cache.load_or_compute(cache.default_folder(), image, self.superpixels)
        logs, labelled = targets.log_depths(
            metres,
            depth_files.has_depth(metres),
            arrays["regions"],
            graph.geometry(arrays["regions"]),
            self.target,
            least=self.least_known,
        )
        padded = self._padded(arrays, image, record)
        count = len(padded["region_valid"])
        found = {"log_depth": logs, "labelled": labelled}
        found = {
            name: np.pad(array, (0, count - len(array)))
            for name, array in found.items()
        }
        return {"image": image, **padded, **found}

    def inputs(
        self, batch: task.Batch, keys: jax.Array, data: config.Data
    ) -> tuple[dict[str, jax.Array], task.Batch]:
        """Returns images with random colours, and their superpixels.

        Returns:
            What `Dcnf.example_inputs` says, and the batch.
        """
        images, batch = super().inputs(batch, keys, data)
        return {"image": images, **{name: batch[name] for name in _GRAPH}}, batch

    def loss_terms(
        self, outputs: dict[str, jax.Array], batch: task.Batch
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Returns the negative log-likelihood, or the square error without a CRF.

        Args:
            outputs: what `Dcnf` gave.

        Returns:
            "loss" and "log_error", the mean error of logarithms of the answer, as
            (sum [b], count of labelled superpixels [b]).
        """
        known = batch["labelled"] & batch["valid"][:, None]
        low, span = self._low_and_span()
        y = jnp.where(known, (batch["log_depth"] - low) / span, 0)
        count = known.sum(1).astype(jnp.float32)
        if "edge_weights" in outputs:
            precision = dense_precision.from_edges(
                batch["edges"],
                outputs["edge_weights"],
                known.shape[1],
                valid=batch["region_valid"],
            )
            loss = gaussian.negative_log_likelihood(
                precision, y, outputs["unary"], labelled=known, tau=outputs["tau"]
            )
        else:
            loss = jnp.where(known, (outputs["unary"] - y) ** 2, 0).sum(1)
        error = jnp.where(known, jnp.abs(outputs["mean"] - y), 0).sum(1) * span
        return {"loss": (loss, count), "log_error": (error, count)}

    def evaluation_input(
        self, record: task.Example, condition: str, protocol: str
    ) -> dict[str, np.ndarray]:
        """Returns what the protocol shows, at the size of the network, cut.

        Args:
            record: `image` uint8 [h, w, 3].

        Returns:
            What `Dcnf.example_inputs` says of one example.
        """
        image = self._shown(record, protocol)
        arrays = cache.load_or_compute(cache.default_folder(), image, self.superpixels)
        scaled = image.astype(np.float32) / 255
        return {"image": scaled, **self._padded(arrays, image, record)}

    def predicted(self, given: Any, output: Any) -> depth.Prediction:
        """Returns the depth that a network means, and how sure it is.

        Args:
            given: what it saw, from `evaluation_input`.
            output: what it gave.

        Returns:
            Depth and deviation on the grid of the image that it saw.
        """
        count = int(given["region_valid"].sum())
        low, span = self._low_and_span()
        metres = np.exp(low + span * np.clip(output["mean"][:count], 0, 1))
        image = np.rint(given["image"] * 255).astype(np.uint8)
        found = projections.to_pixels(
            metres, given["regions"], image, self.back_projection
        )
        spread = None
        if "deviation" in output:
            spread = (span * output["deviation"][given["regions"]]).astype(np.float32)
        return depth.Prediction(np.clip(found, *self.limits), spread)

    def _low_and_span(self) -> tuple[float, float]:
        low, high = (float(np.log(d)) for d in self.depth_range)
        return low, high - low

    def _padded(self, arrays, image, record) -> dict[str, np.ndarray]:
        name = str(record["id"])
        count = front_end.bucket(image.shape[:2], self.superpixels, name=name)
        padded = front_end.pad(arrays, count, name=name)
        return {key: padded[key] for key in _GRAPH}
