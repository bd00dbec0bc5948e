/** Poses, and what moves them. */
/** @import { Frame, Lens, Pose, Quat, Vec3, ViewJson } from "./types.js" */

/** @param {Vec3} a @param {Vec3} b @param {number} [factor] @returns {Vec3} */
export const add = (a, b, factor = 1) => [a[0] + factor * b[0], a[1] + factor * b[1], a[2] + factor * b[2]];

/** @param {Quat} a @param {Quat} b @returns {Quat}  of unit length: b first, then a */
export function product(a, b) {
  const [w, x, y, z] = [
    a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
    a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
    a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
    a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
  ];
  const length = Math.hypot(w, x, y, z);
  return [w / length, x / length, y / length, z / length];
}

/** @param {Vec3} axis  of unit length @param {number} angle  radians @returns {Quat} */
export function turn(axis, angle) {
  const s = Math.sin(angle / 2);
  return [Math.cos(angle / 2), s * axis[0], s * axis[1], s * axis[2]];
}

/** @param {Quat} quat  of unit length @returns {[Vec3, Vec3, Vec3]}  columns of its matrix */
export function axes([w, x, y, z]) {
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
    [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
    [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
  ];
}

/** @param {Pose} pose @returns {Vec3}  the point that the camera turns about */
export const pivot = (pose) => add(pose.position, axes(pose.rotation)[2], pose.distance);

/**
 * The camera of a pose in a picture of some size.
 * @param {Pose} pose @param {number} width  pixels @param {number} height
 * @param {[number, number]} [center]  where it looks to, shares of width and height
 * @returns {Lens}
 */
export function lensOf(pose, width, height, center = [0.5, 0.5]) {
  const rows = new Float64Array(12);
  axes(pose.rotation).forEach((axis, row) => {
    rows.set(axis, 4 * row);
    rows[4 * row + 3] = -(axis[0] * pose.position[0] + axis[1] * pose.position[1] + axis[2] * pose.position[2]);
  });
  const focal = height / 2 / Math.tan(pose.fov / 2);
  return { rows, focal, width, height, cx: center[0] * width, cy: center[1] * height };
}

const HIGHEST = 1.4; // heights of a view: an upright screen shows less of its sides than more above, where nothing is

/**
 * The pose of a view, so wide that nearly all of it is inside the free part of the picture.
 * @param {ViewJson} view @param {Frame} free @param {number} height  of the whole picture, CSS pixels
 * @param {number} distance @returns {Pose}
 */
export function poseOfView(view, free, height, distance) {
  const most = free.height / view.height;
  const zoom = Math.max(Math.min(most, free.width / view.width), most / HIGHEST);
  const fov = 2 * Math.atan(height / 2 / (zoom * view.focal));
  return { position: view.position, rotation: view.rotation, distance, fov };
}

/**
 * Turn about the pivot: sideways about the scene's upward direction, over it about the camera's own x axis.
 * @param {Pose} pose @param {Vec3} up @param {number} sideways  radians @param {number} over @returns {Pose}
 */
export function orbit(pose, up, sideways, over) {
  const center = pivot(pose);
  const rotation = turned(pose, up, sideways, over);
  return { ...pose, rotation, position: add(center, axes(rotation)[2], -pose.distance) };
}

/**
 * Look around from where the camera is.
 * @param {Pose} pose @param {Vec3} up @param {number} sideways  radians @param {number} over @returns {Pose}
 */
export const look = (pose, up, sideways, over) => ({ ...pose, rotation: turned(pose, up, sideways, over) });

const STEEPEST = 0.998; // cosine between view and vertical, about 3.6 degrees: beyond, the world would turn over

/** @param {Pose} pose @param {Vec3} up @param {number} sideways @param {number} over @returns {Quat} */
function turned(pose, up, sideways, over) {
  const around = product(turn(up, sideways), pose.rotation);
  const tilted = product(around, turn([1, 0, 0], over));
  /** @param {Quat} quat */
  const steepness = (quat) => Math.abs(dot(axes(quat)[2], up));
  return steepness(tilted) < Math.max(STEEPEST, steepness(around)) ? tilted : around;
}

/** @param {Vec3} a @param {Vec3} b */
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

/**
 * Move along the camera's own axes; the pivot moves along.
 * @param {Pose} pose @param {number} right @param {number} down @param {number} forward @returns {Pose}
 */
export function moved(pose, right, down, forward) {
  const [x, y, z] = axes(pose.rotation);
  return { ...pose, position: add(add(add(pose.position, x, right), y, down), z, forward) };
}

/**
 * Come nearer to the pivot, which stays.
 * @param {Pose} pose @param {number} factor  of the distance @returns {Pose}
 */
export function zoomed(pose, factor) {
  const distance = pose.distance * factor;
  return { ...pose, distance, position: add(pivot(pose), axes(pose.rotation)[2], -distance) };
}

/**
 * Between two poses, for a camera that flies from one to the other.
 * @param {Pose} a @param {Pose} b @param {number} share  0 to 1 @returns {Pose}
 */
export function between(a, b, share) {
  const sign = a.rotation[0] * b.rotation[0] + dot3(a.rotation, b.rotation) < 0 ? -1 : 1;
  /** @type {Quat} */
  const mixed = [0, 0, 0, 0];
  for (let i = 0; i < 4; i++) mixed[i] = (1 - share) * a.rotation[i] + sign * share * b.rotation[i];
  /** @param {number} from @param {number} to */
  const mix = (from, to) => from + share * (to - from);
  return {
    position: [mix(a.position[0], b.position[0]), mix(a.position[1], b.position[1]), mix(a.position[2], b.position[2])],
    rotation: product([1, 0, 0, 0], mixed),
    distance: mix(a.distance, b.distance),
    fov: mix(a.fov, b.fov),
  };
}

/** @param {Quat} a @param {Quat} b */
const dot3 = (a, b) => a[1] * b[1] + a[2] * b[2] + a[3] * b[3];

/**
 * The rotation of a matrix, of which the columns are given.
 * @param {[Vec3, Vec3, Vec3]} columns  orthonormal, right-handed @returns {Quat}
 */
export function quatOf([x, y, z]) {
  const squares = [
    1 + x[0] + y[1] + z[2],
    1 + x[0] - y[1] - z[2],
    1 - x[0] + y[1] - z[2],
    1 - x[0] - y[1] + z[2],
  ];
  const best = squares.indexOf(Math.max(...squares));
  /** @type {Quat[]} */
  const candidates = [
    [squares[0], y[2] - z[1], z[0] - x[2], x[1] - y[0]],
    [y[2] - z[1], squares[1], x[1] + y[0], z[0] + x[2]],
    [z[0] - x[2], x[1] + y[0], squares[2], y[2] + z[1]],
    [x[1] - y[0], z[0] + x[2], y[2] + z[1], squares[3]],
  ];
  return product([1, 0, 0, 0], candidates[best]);
}
