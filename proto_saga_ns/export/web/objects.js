/** What the scene consists of, and what of it is selected, hidden and coloured. */
/** @import { RowLook } from "./renderer.js" */
/** @import { LevelName, SceneJson, ThingJson } from "./types.js" */

export const REST = 0; // stands among units for what belongs to nothing
const UNSELECTED = 0.4; // strength of the colours of what is not selected, where something is

/**
 * @typedef {Object} Level
 * @property {LevelName} name
 * @property {ThingJson[]} things  the largest first
 * @property {Map<number, ThingJson>} byId
 * @property {Map<number, ThingJson>} byUnit
 */

/** @param {SceneJson} scene @returns {Level[]} */
export const levelsOf = (scene) =>
  scene.levels.map(({ name, things }) => ({
    name,
    things: [...things].sort((a, b) => b.count - a.count || a.id - b.id),
    byId: new Map(things.map((thing) => [thing.id, thing])),
    byUnit: new Map(things.flatMap((thing) => thing.units.map((unit) => [unit, thing]))),
  }));

/** Selection and hidden things are kept as units of the finest level, so that they survive a change of level. */
export class Objects {
  /** @param {SceneJson} scene */
  constructor(scene) {
    this.scene = scene;
    this.levels = levelsOf(scene);
    this.level = this.levelCalled(scene.level) ?? this.levels[0];
    /** @type {Set<number>} */
    this.selected = new Set();
    /** @type {Set<number>} */
    this.hidden = new Set();
    /** @type {number | null} */
    this.hovered = null; // id of a thing of the level
    this.paints = true;
    this.overlay = 0.5;
    /** @type {() => void} */
    this.changed = () => {};
    /** @type {() => void} */
    this.hoverChanged = () => {};
  }

  /** @param {string} name */
  levelCalled(name) {
    return this.levels.find((level) => level.name === name);
  }

  /** @param {LevelName} name */
  setLevel(name) {
    this.level = this.levelCalled(name) ?? this.level;
    // What is selected in part is selected whole.
    this.select(this.selectedThings().map((thing) => thing.id));
  }

  /** @param {number[]} ids */
  select(ids) {
    this.selected = this.unitsOf(ids);
    for (const unit of this.selected) this.hidden.delete(unit);
    this.changed();
  }

  /** @param {number} id */
  toggle(id) {
    const ids = this.selectedThings().map((thing) => thing.id);
    this.select(ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id]);
  }

  /** @param {number[]} ids */
  hide(ids) {
    for (const unit of this.unitsOf(ids)) {
      this.hidden.add(unit);
      this.selected.delete(unit);
    }
    this.changed();
  }

  /** @param {number[]} ids */
  show(ids) {
    for (const unit of this.unitsOf(ids)) this.hidden.delete(unit);
    this.changed();
  }

  /** @param {number[]} ids  everything else is hidden, the rest too */
  isolate(ids) {
    const kept = this.unitsOf(ids);
    const all = this.level.things.flatMap((thing) => thing.units);
    this.hidden = new Set([REST, ...all].filter((unit) => !kept.has(unit)));
    this.selected = kept;
    this.changed();
  }

  showAll() {
    this.hidden = new Set();
    this.changed();
  }

  /** @param {number | null} id */
  hover(id) {
    if (id === this.hovered) return;
    this.hovered = id;
    this.hoverChanged();
  }

  /** @param {number[]} ids @returns {Set<number>}  units of things of this level */
  unitsOf(ids) {
    return new Set(ids.flatMap((id) => this.level.byId.get(id)?.units ?? []));
  }

  /** Things of this level of which something is selected. */
  selectedThings() {
    return this.level.things.filter((thing) => thing.units.some((unit) => this.selected.has(unit)));
  }

  /** @param {ThingJson} thing */
  isHidden(thing) {
    return thing.units.length > 0 && thing.units.every((unit) => this.hidden.has(unit));
  }

  hiddenThings() {
    return this.level.things.filter((thing) => this.isHidden(thing));
  }

  /** How each row of the table is drawn: with what is hidden of the rest goes what is hardly seen. */
  looks() {
    const { ids, seen } = this.scene.rows;
    const hasSelection = this.selected.size > 0;
    return ids.map((unit, row) => {
      const thing = this.level.byUnit.get(unit);
      const selected = this.selected.has(unit);
      /** @type {RowLook} */
      const look = {
        color: thing?.color ?? [0, 0, 0],
        strength: thing && this.paints ? (hasSelection && !selected ? UNSELECTED : 1) : 0,
        hidden: this.hidden.has(unit) || (!seen[row] && this.hidden.has(REST)),
        selected,
        hovered: thing !== undefined && thing.id === this.hovered,
      };
      return look;
    });
  }

  /**
   * The thing of this level that a pixel shows: first the object with the most weight, then what of it has the most.
   * @param {Map<number, number>} weights  of rows
   * @returns {ThingJson | null}
   */
  decide(weights) {
    const objects = this.levelCalled("object") ?? this.level;
    const object = this.heaviest(objects, weights, () => true);
    if (object === null) return null;
    const own = new Set(object.units);
    return this.heaviest(this.level, weights, (unit) => own.has(unit));
  }

  /**
   * @param {Level} level @param {Map<number, number>} weights @param {(unit: number) => boolean} counts
   * @returns {ThingJson | null}
   */
  heaviest(level, weights, counts) {
    /** @type {Map<ThingJson, number>} */
    const sums = new Map();
    for (const [row, weight] of weights) {
      const unit = this.scene.rows.ids[row];
      const thing = level.byUnit.get(unit);
      if (thing && counts(unit)) sums.set(thing, (sums.get(thing) ?? 0) + weight);
    }
    let [best, most] = /** @type {[ThingJson | null, number]} */ ([null, 0]);
    for (const [thing, sum] of sums) if (sum > most) [best, most] = [thing, sum];
    return best;
  }
}
