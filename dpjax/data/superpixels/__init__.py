"""Superpixels of photographs: what a CRF over them needs, computed on the host.

The front-end of DCNF-FCSP (Liu, Shen, Lin & Reid, TPAMI 2016), in the order of its use:
`slic` cuts an image into regions, `parts` cleans them up, `graph` says which touch,
`features` how alike those are, `targets` how deep each is, `front_end` makes arrays of
a static shape of all this, `cache` keeps them, `back_projection` returns to pixels.
"""
