"""Data sets as folders: what belongs where, what is missing, and where to get it. Reads names and headers, no pixels.

``layouts.check`` looks at a folder, ``hints.HINTS`` says where to get one. The layouts follow the published code of the
peers that use them (Gaga, Gaussian Grouping, DAVIS, MOSE); none of the data sets themselves was at hand.
"""
