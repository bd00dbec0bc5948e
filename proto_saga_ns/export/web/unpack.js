/** The bytes of pack.py as arrays of numbers. */
/** @import { Gaussians, Quat } from "./types.js" */

export const CHUNK = 256;
const PART_OF_TEXT = 1 << 20; // divides by 4, as base64 needs

/**
 * @param {string} text  base64
 * @returns {Uint8Array}
 */
export function bytesOfBase64(text) {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  for (let start = 0, at = 0; start < text.length; start += PART_OF_TEXT) {
    const part = atob(text.slice(start, start + PART_OF_TEXT));
    for (let i = 0; i < part.length; i++) bytes[at++] = part.charCodeAt(i);
  }
  return bytes;
}

/**
 * @param {Uint8Array} bytes
 * @param {number} count  of Gaussians
 * @returns {Gaussians}
 */
export function unpack(bytes, count) {
  const chunks = Math.ceil(count / CHUNK);
  if (bytes.length !== 48 * chunks + 19 * count) {
    throw new Error(`The page is damaged: ${bytes.length} bytes for ${count} Gaussians. Export it again.`);
  }
  let at = bytes.byteOffset;
  /** @param {number} size */
  const next = (size) => {
    at += size;
    return at - size;
  };
  const bounds = new Float32Array(bytes.buffer, next(48 * chunks), 12 * chunks);
  const rotations = new Uint32Array(bytes.buffer, next(4 * count), count);
  const places = new Uint16Array(bytes.buffer, next(6 * count), 3 * count);
  const rows = new Uint16Array(bytes.buffer, next(2 * count), count);
  const scales = new Uint8Array(bytes.buffer, next(3 * count), 3 * count);
  const colors = new Uint8Array(bytes.buffer, next(3 * count), 3 * count);
  const opacities = new Uint8Array(bytes.buffer, next(count), count);
  const positions = fromFractions(places, bounds, 0, 65535);
  const logScales = fromFractions(scales, bounds, 6, 255);
  return { count, positions, logScales, rotations, colors, opacities, rows, ...balls(bounds, chunks) };
}

/**
 * @param {Uint16Array | Uint8Array} steps  3 a Gaussian
 * @param {Float32Array} bounds  12 a chunk
 * @param {number} offset  of the bounds that count: 3 low ones, then 3 high ones
 * @param {number} most  steps between the bounds
 */
function fromFractions(steps, bounds, offset, most) {
  const values = new Float32Array(steps.length);
  for (let i = 0; i < steps.length; i++) {
    const low = 12 * Math.floor(i / (3 * CHUNK)) + offset + (i % 3);
    values[i] = bounds[low] + ((bounds[low + 3] - bounds[low]) * steps[i]) / most;
  }
  return values;
}

/**
 * @param {Float32Array} bounds
 * @param {number} count  of chunks
 */
function balls(bounds, count) {
  const chunks = new Float32Array(4 * count);
  const chunkScales = new Float32Array(count);
  for (let c = 0; c < count; c++) {
    let square = 0;
    for (let axis = 0; axis < 3; axis++) {
      const low = bounds[12 * c + axis];
      const high = bounds[12 * c + 3 + axis];
      chunks[4 * c + axis] = (low + high) / 2;
      square += ((high - low) / 2) ** 2;
    }
    chunks[4 * c + 3] = Math.sqrt(square);
    chunkScales[c] = Math.exp(Math.max(bounds[12 * c + 9], bounds[12 * c + 10], bounds[12 * c + 11]));
  }
  return { chunks, chunkScales };
}

/**
 * @param {number} packed  place of the largest component in two bits, then the three others in ten each
 * @returns {Quat}
 */
export function unpackedRotation(packed) {
  const largest = packed >>> 30;
  /** @type {Quat} */
  const quat = [0, 0, 0, 0];
  let rest = 1;
  for (let i = 0, shift = 20; i < 4; i++) {
    if (i === largest) continue;
    quat[i] = (((packed >>> shift) & 1023) / 1023 - 0.5) * Math.SQRT2;
    rest -= quat[i] ** 2;
    shift -= 10;
  }
  quat[largest] = Math.sqrt(Math.max(rest, 0));
  return quat;
}
