"""Continuous CRFs: values of nodes that pull each other, in closed form.

The CRF of DCNF (Liu, Shen, Lin & Reid, PAMI 2016) makes them Gaussian.  `gaussian` has
the likelihood, the most probable values and their deviations for any precision A.
`dense_precision` factorises that of graphs of some hundred nodes, superpixels, with
`cholesky`.  `grid_precision` is that of pixels, whose strengths `grid_weights` reads
from the image: on the graph of `grid_graph` it is solved by `grid_multigrid`, its
determinant comes from `grid_elimination`, or is estimated by `grid_estimates` with
`lanczos`.
"""
