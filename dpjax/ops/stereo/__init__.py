"""Disparities from rectified pairs, on accelerators and in whole numbers.

The first step of RDIS (Cao et al., TCSVT 2020), in the order of its use: `cost` says
how alike two pixels are, `sgm` adds what paths from eight directions make of that
(along `paths`), `winners` picks disparities for both views, `checks` compares the
views, `speckles` and `medians` clean up, `filling` guesses what is hidden.  `matching`
does all this in one call.
"""
