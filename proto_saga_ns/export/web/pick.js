/** What a pixel shows: the object whose Gaussians have the most weight in it, front to back. Exact, on the CPU. */
/** @import { Gaussians, Lens } from "./types.js" */
import { BLUR, MIN_LEFT, NEAR, REACH, alphaAt, widestSlope } from "./project.js";
import { CHUNK } from "./unpack.js";

/**
 * @typedef {Object} Pixel
 * @property {Map<number, number>} weights  of each row of the table, front to back; their sum is alpha
 * @property {number} alpha  light that is stopped, 0 to 1
 * @property {number} depth  where half of that is stopped, along the camera's z axis; NaN if nothing is
 */

/**
 * @param {Gaussians} gaussians @param {Lens} lens @param {boolean} antialiased
 * @param {Uint8Array} hidden  by row
 * @param {number} px  pixels @param {number} py
 * @returns {Pixel}
 */
export function pixelAt(gaussians, lens, antialiased, hidden, px, py) {
  /** @type {[number, number, number][]} */
  const hits = []; // depth, index, alpha
  for (const chunk of chunksNear(gaussians, lens, px, py)) {
    const end = Math.min((chunk + 1) * CHUNK, gaussians.count);
    for (let i = chunk * CHUNK; i < end; i++) {
      if (hidden[gaussians.rows[i]]) continue;
      const [alpha, z] = alphaAt(gaussians, i, lens, antialiased, px, py);
      if (alpha > 0) hits.push([Math.fround(z), i, alpha]);
    }
  }
  hits.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return blended(gaussians.rows, hits);
}

/**
 * @param {Uint16Array} rows @param {[number, number, number][]} hits  nearest first @returns {Pixel}
 */
function blended(rows, hits) {
  const weights = new Map();
  const stops = [];
  let left = 1;
  for (const [z, i, alpha] of hits) {
    const next = left * (1 - alpha);
    if (next <= MIN_LEFT) break;
    weights.set(rows[i], (weights.get(rows[i]) ?? 0) + left * alpha);
    left = next;
    stops.push([z, left]);
  }
  const depth = stops.find(([, rest]) => rest <= (1 + left) / 2)?.[0] ?? NaN;
  return { weights, alpha: 1 - left, depth };
}

/**
 * Chunks whose Gaussians may reach the ray through a point of the picture.
 * @param {Gaussians} gaussians @param {Lens} lens @param {number} px @param {number} py @returns {number[]}
 */
function chunksNear(gaussians, lens, px, py) {
  const { rows: m, focal, cx, cy } = lens;
  const ray = [(px - cx) / focal, (py - cy) / focal, 1];
  const length = Math.hypot(...ray);
  const widest = widestSlope(lens);
  const blur = (REACH * Math.sqrt(BLUR)) / focal; // at a distance of 1
  const found = [];
  for (let c = 0; c < gaussians.chunkScales.length; c++) {
    const [wx, wy, wz, radius] = gaussians.chunks.subarray(4 * c, 4 * c + 4);
    const x = m[0] * wx + m[1] * wy + m[2] * wz + m[3];
    const y = m[4] * wx + m[5] * wy + m[6] * wz + m[7];
    const z = m[8] * wx + m[9] * wy + m[10] * wz + m[11];
    const farthest = z + radius;
    if (farthest <= NEAR) continue;
    const along = (x * ray[0] + y * ray[1] + z * ray[2]) / length;
    const square = x * x + y * y + z * z - along * along;
    const reach = radius + REACH * gaussians.chunkScales[c] * widest + blur * farthest;
    if (square <= reach * reach) found.push(c);
  }
  return found;
}
