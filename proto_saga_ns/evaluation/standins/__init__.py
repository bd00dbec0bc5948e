"""Stand-ins: rendered scenes in the layouts of the data sets, for tests and sweeps where the data itself is absent.

Everything that is written says that it is a stand-in. World frame: metres, z up, the floor at z = 0 and the middle of
the scene above the origin. Poses are camera to world in OpenGL axes (x right, y up, z back). Instance and part ids
start at 1; 0 is what no surface covers.
"""
