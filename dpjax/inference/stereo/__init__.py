"""Stereo pairs of users: from two files to disparities, depth and doubts.

`pairs` finds and reads them, `engines` matches them, `points` and `doubts` tell what
looks wrong, and `maps` makes files of what was found; `one_pair` does it all, and
`scores` compares with the truth.
"""
