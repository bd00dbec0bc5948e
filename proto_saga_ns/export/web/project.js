/** One Gaussian in one picture, as proto_saga_ns/rasterize does it; shaders.js says the same in GLSL. */
/** @import { Gaussians, Lens } from "./types.js" */
import { unpackedRotation } from "./unpack.js";

export const NEAR = 0.01;
export const BLUR = 0.3; // square pixels: what a picture's pixels blur
export const MARGIN = 0.3; // of half the picture: how far beyond its border the Jacobian still follows
export const MIN_ALPHA = 1 / 255;
export const MAX_ALPHA = 0.999;
export const MIN_LEFT = 1e-4;
export const REACH = 3.34; // standard deviations at which a Gaussian of opacity 1 falls below MIN_ALPHA

/**
 * Slopes between which the Jacobian is taken: those of the picture and of a margin around it.
 * @param {number} center @param {number} size  of the picture along this axis, pixels @param {number} focal
 */
const slopes = (center, size, focal) => {
  const margin = (MARGIN * size) / 2;
  return [-(center + margin) / focal, (size - center + margin) / focal];
};

/**
 * How much longer than in the middle of a picture a Gaussian may be at its border.
 * @param {Lens} lens
 */
export const widestSlope = ({ focal, width, height, cx, cy }) =>
  Math.hypot(1, Math.max(...slopes(cx, width, focal).map(Math.abs)), Math.max(...slopes(cy, height, focal).map(Math.abs)));

/**
 * How opaque a Gaussian is at a point of the picture, and how far away: [alpha, z]. Alpha 0: it is not drawn there.
 * @param {Gaussians} gaussians @param {number} i @param {Lens} lens @param {boolean} antialiased
 * @param {number} px  pixels @param {number} py @returns {[number, number]}
 */
export function alphaAt(gaussians, i, lens, antialiased, px, py) {
  const { rows: m, focal, width, height, cx, cy } = lens;
  const { positions, logScales } = gaussians;
  const [mx, my, mz] = [positions[3 * i], positions[3 * i + 1], positions[3 * i + 2]];
  const x = m[0] * mx + m[1] * my + m[2] * mz + m[3];
  const y = m[4] * mx + m[5] * my + m[6] * mz + m[7];
  const z = m[8] * mx + m[9] * my + m[10] * mz + m[11];
  if (z <= NEAR) return [0, z];
  const dx = (focal * x) / z + cx - px;
  const dy = (focal * y) / z + cy - py;
  const largest = Math.exp(Math.max(logScales[3 * i], logScales[3 * i + 1], logScales[3 * i + 2]));
  const reach = REACH * (Math.sqrt(BLUR) + (focal / z) * largest * widestSlope(lens));
  if (dx * dx + dy * dy > reach * reach) return [0, z];
  const [left, right] = slopes(cx, width, focal);
  const [top, bottom] = slopes(cy, height, focal);
  const tx = Math.min(Math.max(x / z, left), right);
  const ty = Math.min(Math.max(y / z, top), bottom);
  const [w, a, b, c] = unpackedRotation(gaussians.rotations[i]);
  const turns = [
    [1 - 2 * (b * b + c * c), 2 * (a * b - w * c), 2 * (a * c + w * b)],
    [2 * (a * b + w * c), 1 - 2 * (a * a + c * c), 2 * (b * c - w * a)],
    [2 * (a * c - w * b), 2 * (b * c + w * a), 1 - 2 * (a * a + b * b)],
  ];
  const u = [0, 0, 0];
  const v = [0, 0, 0];
  for (let j = 0; j < 3; j++) {
    const scale = Math.exp(logScales[3 * i + j]);
    const [rx, ry, rz] = [0, 1, 2].map(
      (row) => scale * (m[4 * row] * turns[0][j] + m[4 * row + 1] * turns[1][j] + m[4 * row + 2] * turns[2][j]),
    );
    u[j] = (focal / z) * (rx - tx * rz);
    v[j] = (focal / z) * (ry - ty * rz);
  }
  // Lagrange's identity, as in our kernels: xx yy - xy xy loses all digits of a long, thin Gaussian.
  const normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
  const before = normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2;
  let xx = u[0] ** 2 + u[1] ** 2 + u[2] ** 2;
  let yy = v[0] ** 2 + v[1] ** 2 + v[2] ** 2;
  const xy = u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
  const after = before + BLUR * (xx + yy) + BLUR * BLUR;
  xx += BLUR;
  yy += BLUR;
  const half = (0.5 * (yy * dx * dx + xx * dy * dy) - xy * dx * dy) / after;
  const opacity = (gaussians.opacities[i] / 255) * (antialiased ? Math.sqrt(before / after) : 1);
  const alpha = opacity * Math.exp(-half);
  return [alpha < MIN_ALPHA ? 0 : Math.min(alpha, MAX_ALPHA), z];
}
