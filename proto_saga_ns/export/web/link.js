/** The address as a memory: where the camera is and what is shown, after the # of the page's own address. */
/** @import { Objects } from "./objects.js" */
/** @import { LevelName, Pose } from "./types.js" */
import { product } from "./camera.js";

const DIGITS = 5;

/** @param {Pose} pose @param {Objects} objects */
export function linkOf(pose, objects) {
  const numbers = [...pose.position, ...pose.rotation, pose.distance, pose.fov];
  const words = [`cam=${numbers.map((value) => Number(value.toPrecision(DIGITS))).join(",")}`];
  words.push(`level=${objects.level.name}`);
  if (objects.selected.size) words.push(`select=${rangesOf(objects.selected)}`);
  if (objects.hidden.size) words.push(`hide=${rangesOf(objects.hidden)}`);
  words.push(`color=${objects.paints ? Math.round(100 * objects.overlay) : "off"}`);
  return `#${words.join("&")}`;
}

/**
 * Takes what a link says; what is missing or makes no sense stays as it is.
 * @param {string} hash  with its # @param {Objects} objects @returns {Pose | null}  null: it says nothing of a camera
 */
export function readLink(hash, objects) {
  const said = new Map(hash.replace(/^#/, "").split("&").map((word) => {
    const [name, value] = word.split("=", 2);
    return [name, value ?? ""];
  }));
  if (said.has("level")) objects.setLevel(/** @type {LevelName} */ (said.get("level")));
  const known = new Set([0, ...objects.scene.rows.ids, ...objects.level.things.flatMap((thing) => thing.units)]);
  if (said.has("cam")) {
    // A link says all of what is selected and hidden, the empty set too.
    objects.selected = new Set(idsOf(said.get("select") ?? "").filter((unit) => known.has(unit) && unit !== 0));
    objects.hidden = new Set(idsOf(said.get("hide") ?? "").filter((unit) => known.has(unit)));
  }
  const color = said.get("color");
  if (color !== undefined) objects.paints = color !== "off";
  if (color && /^\d{1,3}$/.test(color)) objects.overlay = Math.min(Number(color) / 100, 1);
  return poseOf(said.get("cam") ?? "");
}

/** @param {string} text @returns {Pose | null} */
function poseOf(text) {
  const numbers = text.split(",").map(Number);
  if (numbers.length !== 9 || !numbers.every(Number.isFinite)) return null;
  const [x, y, z, qw, qx, qy, qz, distance, fov] = numbers;
  if (Math.hypot(qw, qx, qy, qz) < 0.5 || distance <= 0 || fov <= 0.01 || fov >= 3) return null;
  return { position: [x, y, z], rotation: product([1, 0, 0, 0], [qw, qx, qy, qz]), distance, fov };
}

/** @param {Iterable<number>} ids @returns {string}  ascending: 0.3-7.9 */
export function rangesOf(ids) {
  /** @type {[number, number][]} */
  const runs = [];
  for (const id of [...ids].sort((a, b) => a - b)) {
    const last = runs[runs.length - 1];
    if (last && id === last[1] + 1) last[1] = id;
    else runs.push([id, id]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(".");
}

const MOST_IDS = 1 << 17; // a link that someone has made up does not fill the memory

/** @param {string} text @returns {number[]} */
export function idsOf(text) {
  const ids = [];
  for (const run of text.split(".")) {
    const found = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(run);
    if (!found) continue;
    const last = Number(found[2] ?? found[1]);
    for (let id = Number(found[1]); id <= last && ids.length < MOST_IDS; id++) ids.push(id);
  }
  return ids;
}
