/** The list of objects and all buttons. Names come from data: they are only ever text, never markup. */
/** @import { Objects } from "./objects.js" */
/** @import { LevelName, ThingJson } from "./types.js" */

/** @type {Record<LevelName, [string, string]>} */
const WORDS = { group: ["group", "groups"], object: ["object", "objects"], part: ["part", "parts"] };
const EYE =
  "M2 12s4-6.500 10-6.500 10 6.500 10 6.500-4 6.500-10 6.500S2 12 2 12z M12 9.200a2.800 2.800 0 1 0 0 5.600 2.800 2.800 0 0 0 0-5.600z";
const SECONDS_OF_A_MESSAGE = 6;

/**
 * @template {HTMLElement} T
 * @param {string} id @param {new () => T} kind @returns {T}
 */
export function part(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no ${id}.`);
  return found;
}

/** @param {string} id */
export const button = (id) => part(id, HTMLButtonElement);

/** @param {string} tag @param {string} className @param {string} [text] */
function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** @param {ThingJson} thing */
function chipOf(thing) {
  const chip = element("span", "chip");
  chip.style.backgroundColor = `rgb(${thing.color.join(" ")})`;
  return chip;
}

/** @param {string} path @param {string} [line] */
function icon(path, line) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  made.setAttribute("viewBox", "0 0 24 24");
  for (const [name, d] of [["", path], ["line", line]]) {
    if (!d) continue;
    const stroke = document.createElementNS("http://www.w3.org/2000/svg", "path");
    stroke.setAttribute("class", name ?? "");
    stroke.setAttribute("d", d);
    made.append(stroke);
  }
  return made;
}

/** @param {number} share */
const percent = (share) => (share >= 0.0995 ? `${(100 * share).toFixed(0)} %` : `${(100 * share).toFixed(1)} %`);

/** @param {number} count @param {LevelName} level */
export const counted = (count, level) => `${count.toLocaleString("en")} ${WORDS[level][count === 1 ? 0 : 1]}`;

/**
 * @typedef {Object} Actions
 * @property {(id: number, adds: boolean) => void} choose
 * @property {() => void} frame
 * @property {() => void} folded  or unfolded
 * @property {(text: string) => void} say
 */

export class Panel {
  /** @param {Objects} objects @param {Actions} actions */
  constructor(objects, actions) {
    this.objects = objects;
    this.actions = actions;
    this.list = part("things", HTMLUListElement);
    this.search = part("search", HTMLInputElement);
    /** @type {Map<number, HTMLLIElement>} */
    this.items = new Map();
    this.listed = "";
    part("title", HTMLElement).textContent = objects.scene.title;
    this.search.addEventListener("input", () => this.filter());
    this.makeLevels();
    this.wire();
  }

  wire() {
    const { objects, actions } = this;
    const ids = () => objects.selectedThings().map((thing) => thing.id);
    button("hide").onclick = () => objects.hide(ids());
    button("isolate").onclick = () => objects.isolate(ids());
    button("show-all").onclick = () => objects.showAll();
    button("frame").onclick = () => actions.frame();
    const paints = part("paints", HTMLInputElement);
    paints.onchange = () => {
      objects.paints = paints.checked;
      objects.changed();
    };
    const overlay = part("overlay", HTMLInputElement);
    overlay.oninput = () => {
      objects.overlay = overlay.valueAsNumber / 100;
      objects.paints = true;
      objects.changed();
    };
    const panel = part("panel", HTMLElement);
    button("fold").onclick = () => {
      const folded = panel.classList.toggle("is-folded");
      button("fold").setAttribute("aria-expanded", String(!folded));
      actions.folded();
    };
  }

  makeLevels() {
    const place = part("levels", HTMLDivElement);
    place.hidden = this.objects.levels.length < 2;
    for (const { name } of this.objects.levels) {
      const made = document.createElement("button");
      made.type = "button";
      made.dataset.level = name;
      made.textContent = WORDS[name][1][0].toUpperCase() + WORDS[name][1].slice(1);
      made.onclick = () => this.objects.setLevel(name);
      place.append(made);
    }
  }

  /** Shows what the objects say now. */
  refresh() {
    const { objects } = this;
    if (this.listed !== objects.level.name) this.makeList();
    const chosen = objects.selectedThings();
    const selected = new Set(chosen.map((thing) => thing.id));
    for (const thing of objects.level.things) {
      const item = /** @type {HTMLLIElement} */ (this.items.get(thing.id));
      const hidden = objects.isHidden(thing);
      item.classList.toggle("is-selected", selected.has(thing.id));
      item.classList.toggle("is-hidden", hidden);
      item.firstElementChild?.setAttribute("aria-pressed", String(selected.has(thing.id)));
      item.lastElementChild?.setAttribute("aria-pressed", String(hidden));
    }
    for (const choice of part("levels", HTMLDivElement).querySelectorAll("button")) {
      choice.setAttribute("aria-pressed", String(choice.dataset.level === objects.level.name));
    }
    for (const id of ["hide", "isolate", "frame"]) button(id).disabled = chosen.length === 0;
    button("show-all").disabled = objects.hidden.size === 0;
    part("paints", HTMLInputElement).checked = objects.paints;
    part("overlay", HTMLInputElement).value = String(Math.round(100 * objects.overlay));
    this.tellChosen(chosen);
    this.tellFacts();
  }

  /** @param {ThingJson[]} chosen */
  tellChosen(chosen) {
    const place = part("chosen", HTMLDivElement);
    if (chosen.length === 0) {
      place.replaceChildren(element("span", "text", "Click on an object to select it"));
    } else if (chosen.length === 1) {
      const [thing] = chosen;
      const text = element("span", "text", thing.name);
      text.title = thing.name;
      const count = element("span", "share", `${thing.count.toLocaleString("en")} Gaussians`);
      place.replaceChildren(chipOf(thing), text, count);
    } else {
      place.replaceChildren(element("span", "text", `${counted(chosen.length, this.objects.level.name)} selected`));
    }
  }

  tellFacts() {
    const { scene, level } = this.objects;
    const hidden = this.objects.hiddenThings().length;
    const shown = hidden ? `${(level.things.length - hidden).toLocaleString("en")} of ` : "";
    const words = [shown + counted(level.things.length, level.name)];
    const of = scene.count < scene.total ? ` of ${scene.total.toLocaleString("en")}` : "";
    words.push(`${scene.count.toLocaleString("en")}${of} Gaussians`);
    part("facts", HTMLElement).textContent = words.join(" · ");
  }

  makeList() {
    this.listed = this.objects.level.name;
    this.items = new Map(this.objects.level.things.map((thing) => [thing.id, this.itemOf(thing)]));
    this.list.replaceChildren(...this.items.values());
    this.filter();
  }

  /** @param {ThingJson} thing @returns {HTMLLIElement} */
  itemOf(thing) {
    const { objects, actions } = this;
    const item = document.createElement("li");
    item.dataset.id = String(thing.id);
    const name = document.createElement("button");
    name.type = "button";
    name.className = "name";
    name.title = `${thing.name} (${thing.id}): ${thing.count.toLocaleString("en")} Gaussians`;
    const share = percent(thing.count / Math.max(objects.scene.count, 1));
    name.append(chipOf(thing), element("span", "text", thing.name));
    if (!thing.name.includes(String(thing.id))) name.append(element("span", "number", String(thing.id)));
    name.append(element("span", "share", share));
    name.onclick = (event) => actions.choose(thing.id, event.ctrlKey || event.metaKey || event.shiftKey);
    name.ondblclick = () => actions.frame();
    name.onpointerenter = () => objects.hover(thing.id);
    name.onpointerleave = () => objects.hover(null);
    const eye = document.createElement("button");
    eye.type = "button";
    eye.className = "eye";
    eye.title = "Hide or show";
    eye.setAttribute("aria-label", `Hide ${thing.name}`);
    eye.append(icon(EYE, "M4 20 20 4"));
    eye.onclick = () => (objects.isHidden(thing) ? objects.show([thing.id]) : objects.hide([thing.id]));
    item.append(name, eye);
    return item;
  }

  filter() {
    const wanted = this.search.value.trim().toLowerCase();
    let found = 0;
    for (const thing of this.objects.level.things) {
      const fits = thing.name.toLowerCase().includes(wanted) || String(thing.id) === wanted;
      const item = this.items.get(thing.id);
      if (item) item.hidden = !fits;
      found += Number(fits);
    }
    part("nothing", HTMLElement).hidden = found > 0;
  }

  /** Brings the item of a thing into sight. @param {number} id */
  reveal(id) {
    this.items.get(id)?.scrollIntoView({ block: "nearest" });
  }
}

/** A label beside the pointer. */
export class Tip {
  constructor() {
    this.place = part("tip", HTMLDivElement);
  }

  /** @param {ThingJson | null} thing @param {number} [x] @param {number} [y] */
  show(thing, x = 0, y = 0) {
    this.place.hidden = thing === null;
    if (thing === null) return;
    const [chip, text] = this.place.children;
    /** @type {HTMLElement} */ (chip).style.backgroundColor = `rgb(${thing.color.join(" ")})`;
    text.textContent = thing.name;
    const width = this.place.offsetWidth;
    const left = x + 16 + width > innerWidth - 8 ? x - 12 - width : x + 16;
    const top = Math.min(y + 14, innerHeight - this.place.offsetHeight - 8);
    this.place.style.transform = `translate(${Math.max(left, 8)}px, ${top}px)`;
  }
}

let timer = 0;

/** Says something for a while. @param {string} text */
export function say(text) {
  const place = part("message", HTMLElement);
  place.textContent = text;
  place.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => (place.hidden = true), 1000 * SECONDS_OF_A_MESSAGE);
}
