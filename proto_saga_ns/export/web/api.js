/** What `window.scene` offers to those who want to drive the page by a program (docs/web.md). */
/** @import { Page } from "./main.js" */
/** @import { Pose, Quat, Vec3 } from "./types.js" */
import { add, quatOf } from "./camera.js";
import { linkOf } from "./link.js";

/** @param {Page} page */
export function apiOf(page) {
  const { stage, objects } = page;
  return {
    /** Resolves when the picture is complete. */
    settled: () => stage.settled(),
    getCamera: () => stage.pose,
    /** @param {Partial<Pose>} pose  frames as in getCamera's */
    setCamera: (pose) => stage.move({ ...stage.pose, ...pose }),
    /** @param {number[][]} matrix  world to camera, 3 or 4 rows of 4, OpenCV's axes @param {number} fov  vertical, radians */
    setWorldToCamera: (matrix, fov) => stage.move({ ...stage.pose, ...poseOfMatrix(matrix), fov }),
    /** Where the camera looks to, shares of the picture; until the window or the panel changes its size. @param {[number, number]} center */
    setCenter: (center) => stage.setCenter(center),
    /** @param {number} x  CSS pixels from the left @param {number} y  from the top @returns {number | null}  an id */
    pick: (x, y) => page.thingAt(x, y)?.id ?? null,
    /** @param {"group" | "object" | "part"} name */
    setLevel: (name) => objects.setLevel(name),
    /** @param {number[]} ids */
    select: (ids) => objects.select(ids),
    /** @param {number[]} ids */
    hide: (ids) => objects.hide(ids),
    /** @param {number[]} ids */
    isolate: (ids) => objects.isolate(ids),
    showAll: () => objects.showAll(),
    /** @param {number} opacity  0 to 1; 0 shows the scene's own colours */
    setColors: (opacity) => {
      objects.paints = opacity > 0;
      objects.overlay = opacity || objects.overlay;
      objects.changed();
    },
    /** @param {Vec3} color  0 to 1 */
    setBackground: (color) => stage.setBackground(color),
    /** What is shown, in words of a machine. */
    state: () => ({
      level: objects.level.name,
      selected: objects.selectedThings().map((thing) => thing.id),
      hidden: objects.hiddenThings().map((thing) => thing.id),
      colors: objects.paints ? objects.overlay : 0,
      link: linkOf(stage.pose, objects),
    }),
    /** The picture as a PNG (data URL). */
    picture: () => {
      stage.draw(1);
      return page.canvas.toDataURL();
    },
  };
}

/** @param {number[][]} matrix  world to camera @returns {{position: Vec3, rotation: Quat}} */
function poseOfMatrix([x, y, z]) {
  /** @param {number[]} row @returns {Vec3} */
  const axis = (row) => [row[0], row[1], row[2]];
  const columns = /** @type {[Vec3, Vec3, Vec3]} */ ([axis(x), axis(y), axis(z)]);
  const position = columns.reduce((sum, column, i) => add(sum, column, -[x, y, z][i][3]), /** @type {Vec3} */ ([0, 0, 0]));
  return { position, rotation: quatOf(columns) };
}
