"""Fully connected CRFs over labels, by mean-field inference.

`dense_crf` is the inference (Kraehenbuehl & Koltun, NIPS 2011).  Its messages are sums
over pixels with Gaussian weights: of places alone, by `gaussian_axes`; of places and
colours, exactly by `gaussian_tiles`, nearly by `gaussian_lattice`, or among near pixels
by `gaussian_window`.
"""
