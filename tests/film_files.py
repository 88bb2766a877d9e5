"""Small films, as cameras and editors leave them, for tests that read or write some."""

import struct

import cv2
import numpy as np


def write(path, frames, codec="mp4v", rate=25):
    """Encodes frames, uint8 RGB [h, w, 3], of even sides."""
    height, width = frames[0].shape[:2]
    code = cv2.VideoWriter.fourcc(*codec)
    writer = cv2.VideoWriter(str(path), code, rate, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


def decoded(path):
    """All frames of a film, uint8 RGB [n, h, w, 3], and their rate."""
    capture = cv2.VideoCapture(str(path))
    assert capture.isOpened()
    frames = []
    while True:
        there, frame = capture.read()
        if not there:
            return np.stack(frames), capture.get(cv2.CAP_PROP_FPS)
        frames.append(frame[..., ::-1])


def with_index_first(data):
    """A QuickTime film as for the web: what tells of the frames before the frames."""
    boxes, start = {}, 0
    while start < len(data):
        (length,) = struct.unpack_from(">I", data, start)
        boxes[data[start + 4 : start + 8]] = data[start : start + length]
        start += length
    index = bytearray(boxes.pop(b"moov"))
    place = index.index(b"stco") + 8  # where the chunks of frames are
    (count,) = struct.unpack_from(">I", index, place)
    for i in range(count):
        (old,) = struct.unpack_from(">I", index, place + 4 * (i + 1))
        struct.pack_into(">I", index, place + 4 * (i + 1), old + len(index))
    return boxes.pop(b"ftyp") + bytes(index) + b"".join(boxes.values())


def trimmed(data, share):
    """A QuickTime film of which only the first part is to be shown."""
    data = bytearray(data)
    place = data.index(b"elst") + 12
    (duration,) = struct.unpack_from(">I", data, place)
    struct.pack_into(">I", data, place, int(duration * share))
    return bytes(data)
