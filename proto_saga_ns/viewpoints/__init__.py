"""Where to look at a splat from if nobody says where its photos were taken.

Points are in the world frame of the splat. Poses are camera to world in OpenCV axes (x right, y down, z forward).
"""
