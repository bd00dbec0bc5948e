// Perspective projection of 3D Gaussians to 2D ones (EWA splatting), and its gradient.
#pragma once

#include <cstdint>

namespace splat {

struct Camera {
  float rotation[9];  // world to camera, row by row
  float translation[3];
  float fx, fy, cx, cy;  // pixels
  float width, height;   // pixels
  float blur;            // added to the diagonal of every 2D covariance, pixels^2
  float near, far;       // along z
  float radius_clip;     // pixels; smaller Gaussians are dropped
};

// Inputs that have a gradient, and where the gradients go. Arrays of n rows.
struct Gaussians {
  const float* means;   // 3, world
  const float* quats;   // 4, w x y z, any length
  const float* scales;  // 3, standard deviations
};

struct Projected {
  float* means2d;        // 2, pixels
  float* conics;         // 3, upper triangle of the inverse 2D covariance
  float* depths;         // 1, z in the camera frame
  float* compensations;  // 1, factor on the opacity that undoes the blur's gain in area
  int32_t* radii;        // 1, three standard deviations in pixels, rounded up; 0 = not visible
};

struct ProjectedGradient {
  const float* means2d;
  const float* conics;
  const float* depths;
  const float* compensations;
};

struct GaussiansGradient {
  float* means;
  float* quats;
  float* scales;
  double* viewmat;  // 12: rotation row by row, then translation; summed over all Gaussians
};

void project(int64_t n, const Camera& camera, const Gaussians& in, const Projected& out, int threads);

void project_backward(int64_t n, const Camera& camera, const Gaussians& in, const int32_t* radii,
                      const ProjectedGradient& upstream, const GaussiansGradient& out, int threads);

}  // namespace splat
