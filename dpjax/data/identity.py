"""Whether two images show the same picture, for checks of train/test leakage.

The identity of an image is 256 bits: the signs of its 16x16 lowest DCT coefficients of
luma, at low resolution.  Signs survive JPEG, grey against colour, rescaling, brightness
and contrast.  Mirrors and rotations only flip or transpose signs, so all eight are
compared without touching the pixels.  Crops change everything: `KNOWN_OVERLAPS` lists
what is known of the public sets.
"""

import numpy as np

SIZE_BYTES = 32
SAME_BITS = 64  # of 255; unrelated photographs differ in 89 or more, 115 on average
_SIDE = 64
_LOW = 16
_FLAT = 1e-2  # rounding noise of a constant image stays below
_CHUNK = 2048  # training pictures compared at once, bounds the memory
_CHECKER_ROWS = np.arange(_LOW)[:, None] % 2 * np.ones((1, _LOW), int)


def fingerprint(image: np.ndarray) -> bytes:
    """Returns the perceptual identity of an image.

    Args:
        image: uint8 RGB, [h, w, 3], at least 8 pixels on each side.

    Returns:
        32 bytes; compare with `distances`.
    """
    import cv2

    luma = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    # AREA averages when shrinking, so the result does not depend on the resolution.
    small = cv2.resize(
        luma.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA
    )
    low = cv2.dct(small - small.mean())[:_LOW, :_LOW]
    low[0, 0] = 0  # the mean is not part of the picture
    return np.packbits(low > _FLAT).tobytes()


def distances(one: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Returns how many bits differ, at best over the eight flips and rotations.

    Args:
        one: fingerprints, uint8 [n, 32].
        many: fingerprints, uint8 [m, 32].

    Returns:
        int [n, m], 0 for the same picture, about 128 for unrelated ones.
    """
    best = None
    for variant in _variants(one):
        differ = np.bitwise_count(variant[:, None] ^ many[None]).sum(-1, dtype=np.int32)
        best = differ if best is None else np.minimum(best, differ)
    return best


def _variants(fingerprints: np.ndarray) -> list[np.ndarray]:
    bits = np.unpackbits(fingerprints, axis=-1).reshape(-1, _LOW, _LOW)
    found = []
    for turned in (bits, bits.swapaxes(1, 2)):
        for rows in (0, _CHECKER_ROWS):  # odd frequencies change sign when mirrored
            for columns in (0, _CHECKER_ROWS.T):
                flipped = (turned ^ rows ^ columns).astype(np.uint8)
                found.append(np.packbits(flipped.reshape(len(bits), -1), axis=-1))
    return found
