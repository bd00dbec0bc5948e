#include "projection.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "parallel.h"

namespace splat {
namespace {

constexpr float kMarginOfView = 0.3f;  // part of the half width by which points may lie outside the Jacobian's range
constexpr float kMinEigenvalueGap = 0.01f;
constexpr float kMaxRadius = 1e9f;  // what is larger, or not a number, has overflowed and is not drawn

struct Vector {
  float x, y, z;
};

struct Matrix {
  float at[3][3];
};

void cross(const float* a, const float* b, float* out) {
  for (int i = 0; i < 3; ++i) out[i] = a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3];
}

Matrix multiply(const Matrix& a, const Matrix& b) {
  Matrix c;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j)
      c.at[i][j] = a.at[i][0] * b.at[0][j] + a.at[i][1] * b.at[1][j] + a.at[i][2] * b.at[2][j];
  return c;
}

Matrix transposed(const Matrix& a) {
  Matrix c;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) c.at[i][j] = a.at[j][i];
  return c;
}

struct UnitQuaternion {
  float w, x, y, z, inverse_length;

  UnitQuaternion() = default;
  explicit UnitQuaternion(const float* q) {
    inverse_length = 1.f / std::sqrt(std::max(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3], 1e-24f));
    w = q[0] * inverse_length;
    x = q[1] * inverse_length;
    y = q[2] * inverse_length;
    z = q[3] * inverse_length;
  }

  Matrix rotation() const {
    return {{{1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)},
             {2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)},
             {2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)}}};
  }

  // Gradient of the quaternion before normalisation from that of the rotation matrix.
  void backward(const Matrix& g, float* out) const {
    const auto& v = g.at;
    const float gw = 2 * (x * (v[2][1] - v[1][2]) + y * (v[0][2] - v[2][0]) + z * (v[1][0] - v[0][1]));
    const float gx = 2 * (-2 * x * (v[1][1] + v[2][2]) + y * (v[0][1] + v[1][0]) + z * (v[0][2] + v[2][0]) +
                          w * (v[2][1] - v[1][2]));
    const float gy = 2 * (x * (v[0][1] + v[1][0]) - 2 * y * (v[0][0] + v[2][2]) + z * (v[1][2] + v[2][1]) +
                          w * (v[0][2] - v[2][0]));
    const float gz = 2 * (x * (v[0][2] + v[2][0]) + y * (v[1][2] + v[2][1]) - 2 * z * (v[0][0] + v[1][1]) +
                          w * (v[1][0] - v[0][1]));
    const float along = gw * w + gx * x + gy * y + gz * z;
    out[0] = (gw - w * along) * inverse_length;
    out[1] = (gx - x * along) * inverse_length;
    out[2] = (gy - y * along) * inverse_length;
    out[3] = (gz - z * along) * inverse_length;
  }
};

// Everything between a Gaussian and its projection, in the order in which it is computed.
struct Projection {
  const Camera& camera;
  const float *quat, *scale;
  UnitQuaternion quaternion;
  Vector point;  // camera frame
  float inverse_z;
  float x_in_range, y_in_range;          // of the point that the Jacobian is taken at; z is the point's
  bool x_is_free, y_is_free;             // whether it follows the point, or sits at the border of the range
  Matrix world_to_camera, turned, root;  // turned = W R, root = W R S: root root^T is the covariance
  float u[3], v[3], normal[3];           // rows of J root, and their cross product
  float jx, jxz, jy, jyz;                // J = [[jx 0 jxz] [0 jy jyz]]
  float xx, xy, yy;                      // blurred 2D covariance
  float determinant_before, determinant;

  Projection(const Camera& camera, const float* mean, const float* quat, const float* scale)
      : camera(camera), quat(quat), scale(scale) {
    const float* r = camera.rotation;
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 3; ++j) world_to_camera.at[i][j] = r[3 * i + j];
    point = {r[0] * mean[0] + r[1] * mean[1] + r[2] * mean[2] + camera.translation[0],
             r[3] * mean[0] + r[4] * mean[1] + r[5] * mean[2] + camera.translation[1],
             r[6] * mean[0] + r[7] * mean[1] + r[8] * mean[2] + camera.translation[2]};
  }

  bool in_depth_range() const { return point.z > camera.near && point.z < camera.far; }

  void differentiate() {
    inverse_z = 1.f / point.z;
    x_in_range = in_range(point.x * inverse_z, camera.cx, camera.fx, camera.width, x_is_free) * point.z;
    y_in_range = in_range(point.y * inverse_z, camera.cy, camera.fy, camera.height, y_is_free) * point.z;
    jx = camera.fx * inverse_z;
    jxz = -camera.fx * x_in_range * inverse_z * inverse_z;
    jy = camera.fy * inverse_z;
    jyz = -camera.fy * y_in_range * inverse_z * inverse_z;
  }

  // False for most of what lies outside the image, by a radius that is never too small: that of a ball around the
  // Gaussian. Spares what follows.
  bool may_touch_image() const {
    const float largest = std::max({scale[0], scale[1], scale[2]});
    const float trace = largest * largest * (jx * jx + jxz * jxz + jy * jy + jyz * jyz) + 2 * camera.blur;
    const float pixels = 1.001f * 3.f * std::sqrt(trace + std::sqrt(kMinEigenvalueGap)) + 1.f;
    return touches_image(pixels);
  }

  void evaluate() {
    quaternion = UnitQuaternion(quat);
    turned = multiply(world_to_camera, quaternion.rotation());
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 3; ++j) root.at[i][j] = turned.at[i][j] * scale[j];
    xx = xy = yy = 0;
    for (int j = 0; j < 3; ++j) {
      u[j] = jx * root.at[0][j] + jxz * root.at[2][j];
      v[j] = jy * root.at[1][j] + jyz * root.at[2][j];
      xx += u[j] * u[j];
      xy += u[j] * v[j];
      yy += v[j] * v[j];
    }
    // Lagrange's identity: xx yy - xy xy would lose all its digits for a long, thin Gaussian.
    cross(u, v, normal);
    determinant_before = normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2];
    determinant = determinant_before + camera.blur * (xx + yy) + camera.blur * camera.blur;
    xx += camera.blur;
    yy += camera.blur;
  }

  static float in_range(float slope, float center, float focal, float size, bool& is_free) {
    const float margin = kMarginOfView * 0.5f * size / focal;
    const float low = -(center / focal + margin), high = (size - center) / focal + margin;
    is_free = slope > low && slope < high;
    return std::min(std::max(slope, low), high);
  }

  int32_t radius() const {
    const float middle = 0.5f * (xx + yy);
    const float largest = middle + std::sqrt(std::max(middle * middle - determinant, kMinEigenvalueGap));
    const float pixels = std::ceil(3.f * std::sqrt(largest));
    return pixels < kMaxRadius ? static_cast<int32_t>(pixels) : 0;
  }

  float mean_x() const { return camera.fx * point.x * inverse_z + camera.cx; }
  float mean_y() const { return camera.fy * point.y * inverse_z + camera.cy; }
  float compensation() const { return std::sqrt(std::max(determinant_before / determinant, 0.f)); }

  bool touches_image(float r) const {
    const float x = mean_x(), y = mean_y();
    return x + r > 0 && x - r < camera.width && y + r > 0 && y - r < camera.height;
  }

  // Gradients of u and v. With A the matrix of rows u, v and P the inverse covariance, the inverse's own gradient G
  // gives -2 P G (P A), and P A is written with cross products, which keep their digits where P's entries cancel.
  void rows_gradient(const float* conic, float compensation_gradient, float* g_u, float* g_v) const {
    float across_u[3], across_v[3];  // gradients of determinant_before, halved
    cross(v, normal, across_u);
    cross(normal, u, across_v);
    const float a = yy / determinant, b = -xy / determinant, c = xx / determinant, half = 0.5f * conic[1];
    const float p00 = a * conic[0] + b * half, p01 = a * half + b * conic[2];
    const float p10 = b * conic[0] + c * half, p11 = b * half + c * conic[2];
    const float value = compensation();
    const bool has_slope = value > 0 && compensation_gradient != 0;  // the root's slope is infinite at zero
    const float before = has_slope ? compensation_gradient / (value * determinant) : 0.f;
    const float after = has_slope ? -compensation_gradient * value : 0.f;
    for (int j = 0; j < 3; ++j) {
      const float row_u = (across_u[j] + camera.blur * u[j]) / determinant;
      const float row_v = (across_v[j] + camera.blur * v[j]) / determinant;
      g_u[j] = -2.f * (p00 * row_u + p01 * row_v) + before * across_u[j] + after * row_u;
      g_v[j] = -2.f * (p10 * row_u + p11 * row_v) + before * across_v[j] + after * row_v;
    }
  }

  struct Gradient {
    float point[3];
    Matrix world_to_camera;
  };

  // Gradients of scale and quaternion are written; those of the point and of W (through the covariance) returned.
  Gradient backward(const float* mean2d, const float* g_u, const float* g_v, float depth, float* scale_out,
                    float* quat_out) const {
    Gradient out;
    Matrix g_root;
    float g_jx = 0, g_jxz = 0, g_jy = 0, g_jyz = 0;
    for (int j = 0; j < 3; ++j) {
      g_jx += g_u[j] * root.at[0][j];
      g_jxz += g_u[j] * root.at[2][j];
      g_jy += g_v[j] * root.at[1][j];
      g_jyz += g_v[j] * root.at[2][j];
      g_root.at[0][j] = jx * g_u[j];
      g_root.at[1][j] = jy * g_v[j];
      g_root.at[2][j] = jxz * g_u[j] + jyz * g_v[j];
    }
    Matrix g_turned;
    for (int j = 0; j < 3; ++j) {
      scale_out[j] = 0;
      for (int i = 0; i < 3; ++i) {
        scale_out[j] += g_root.at[i][j] * turned.at[i][j];
        g_turned.at[i][j] = g_root.at[i][j] * scale[j];
      }
    }
    quaternion.backward(multiply(transposed(world_to_camera), g_turned), quat_out);
    out.world_to_camera = multiply(g_turned, transposed(quaternion.rotation()));

    const float iz = inverse_z, iz2 = iz * iz;
    out.point[0] = jx * mean2d[0];
    out.point[1] = jy * mean2d[1];
    out.point[2] = depth - (camera.fx * point.x * mean2d[0] + camera.fy * point.y * mean2d[1]) * iz2;
    out.point[2] -= (camera.fx * g_jx + camera.fy * g_jy) * iz2;
    jacobian_backward(camera.fx, x_in_range, x_is_free, g_jxz, out.point[0], out.point[2]);
    jacobian_backward(camera.fy, y_in_range, y_is_free, g_jyz, out.point[1], out.point[2]);
    return out;
  }

  // Of J's entry -f x / z^2, where x = z * border if the point lies outside the range.
  void jacobian_backward(float focal, float x, bool is_free, float g, float& g_x, float& g_z) const {
    const float iz2 = inverse_z * inverse_z;
    if (is_free) g_x -= focal * iz2 * g;
    g_z += (is_free ? 2.f : 1.f) * focal * x * iz2 * inverse_z * g;
  }
};

}  // namespace

void project(int64_t n, const Camera& camera, const Gaussians& in, const Projected& out, int threads) {
  parallel_for(n, threads, [&](int64_t i) {
    Projection p(camera, in.means + 3 * i, in.quats + 4 * i, in.scales + 3 * i);
    int32_t radius = 0;
    if (p.in_depth_range()) {
      p.differentiate();
      if (p.may_touch_image()) {
        p.evaluate();
        if (p.determinant > 0) radius = p.radius();
        if (radius <= camera.radius_clip || !p.touches_image(float(radius))) radius = 0;
      }
    }
    const bool visible = radius > 0;
    out.radii[i] = radius;
    out.means2d[2 * i] = visible ? p.mean_x() : 0;
    out.means2d[2 * i + 1] = visible ? p.mean_y() : 0;
    out.conics[3 * i] = visible ? p.yy / p.determinant : 0;
    out.conics[3 * i + 1] = visible ? -p.xy / p.determinant : 0;
    out.conics[3 * i + 2] = visible ? p.xx / p.determinant : 0;
    out.depths[i] = visible ? p.point.z : 0;
    out.compensations[i] = visible ? p.compensation() : 0;
  });
}

void project_backward(int64_t n, const Camera& camera, const Gaussians& in, const int32_t* radii,
                      const ProjectedGradient& upstream, const GaussiansGradient& out, int threads) {
  using ViewmatSums = std::array<double, 12>;
  std::vector<ViewmatSums> viewmats(threads);
  parallel_for(threads, threads, [&](int64_t worker) {
    ViewmatSums viewmat = {};
    for (int64_t i = n * worker / threads; i < n * (worker + 1) / threads; ++i) {
      float* g_mean = out.means + 3 * i;
      float* g_scale = out.scales + 3 * i;
      float* g_quat = out.quats + 4 * i;
      if (radii[i] <= 0) {
        std::fill(g_mean, g_mean + 3, 0.f);
        std::fill(g_scale, g_scale + 3, 0.f);
        std::fill(g_quat, g_quat + 4, 0.f);
        continue;
      }
      const float* mean = in.means + 3 * i;
      Projection p(camera, mean, in.quats + 4 * i, in.scales + 3 * i);
      p.differentiate();
      p.evaluate();
      float g_u[3], g_v[3];
      p.rows_gradient(upstream.conics + 3 * i, upstream.compensations[i], g_u, g_v);
      const auto g = p.backward(upstream.means2d + 2 * i, g_u, g_v, upstream.depths[i], g_scale, g_quat);
      for (int j = 0; j < 3; ++j) {
        const float* r = camera.rotation;
        g_mean[j] = r[j] * g.point[0] + r[3 + j] * g.point[1] + r[6 + j] * g.point[2];
        viewmat[9 + j] += g.point[j];
        for (int k = 0; k < 3; ++k) viewmat[3 * j + k] += g.point[j] * mean[k] + g.world_to_camera.at[j][k];
      }
    }
    viewmats[worker] = viewmat;
  });
  std::fill(out.viewmat, out.viewmat + 12, 0.0);
  for (const ViewmatSums& viewmat : viewmats)
    for (int j = 0; j < 12; ++j) out.viewmat[j] += viewmat[j];
}

}  // namespace splat
