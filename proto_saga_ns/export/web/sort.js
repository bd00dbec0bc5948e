/** Gaussians from far to near, found in a worker so that the page never waits for it. */

/**
 * Fills `order` with the indices of Gaussians, the farthest along a direction first; equal ones in reverse order.
 * A radix sort of the bits of the 32-bit depths, so that the order is that of our rasterizer.
 * Written without anything around it: its text is the worker's program.
 *
 * @param {Float32Array} positions  3 N
 * @param {Float64Array} row  x, y, z and constant part of the depth
 * @param {Uint32Array} order  N
 */
export function sortByDepth(positions, row, order) {
  const count = order.length;
  const depths = new Float32Array(count);
  const keys = new Uint32Array(depths.buffer);
  for (let i = 0; i < count; i++) {
    depths[i] = row[0] * positions[3 * i] + row[1] * positions[3 * i + 1] + row[2] * positions[3 * i + 2] + row[3];
  }
  const places = new Uint32Array(65536);
  const half = new Uint32Array(count);
  // As whole numbers the bits of floats ascend with them if the sign is turned, of negative ones all bits.
  for (let i = 0; i < count; i++) keys[i] = keys[i] & 0x80000000 ? ~keys[i] : keys[i] | 0x80000000;
  for (let i = 0; i < count; i++) places[keys[i] & 65535]++;
  for (let key = 0, sum = 0; key < 65536; key++) [places[key], sum] = [sum, sum + places[key]];
  for (let i = 0; i < count; i++) half[places[keys[i] & 65535]++] = i;
  places.fill(0);
  for (let i = 0; i < count; i++) places[keys[i] >>> 16]++;
  for (let key = 0, sum = 0; key < 65536; key++) [places[key], sum] = [sum, sum + places[key]];
  for (let i = 0; i < count; i++) order[count - 1 - places[keys[half[i]] >>> 16]++] = half[i];
}

/**
 * Sorts on demand; a demand that comes while it works replaces those that wait.
 */
export class Sorter {
  /**
   * @param {Float32Array} positions  3 N
   * @param {(order: Uint32Array) => void} done
   * @param {(reason: string) => void} alone  called if there can be no worker
   */
  constructor(positions, done, alone) {
    this.positions = positions;
    this.done = done;
    /** @type {Float64Array | null} */
    this.waiting = null;
    this.isBusy = false;
    /** @type {Uint32Array} */
    this.spare = new Uint32Array(positions.length / 3);
    /** @type {Worker | null} */
    this.worker = null;
    try {
      this.worker = this.start();
    } catch (error) {
      alone(String(error));
    }
  }

  start() {
    const program = `${sortByDepth}
      let positions;
      onmessage = ({data}) => {
        if (data.positions) { positions = data.positions; return; }
        sortByDepth(positions, data.row, data.order);
        postMessage(data.order, [data.order.buffer]);
      };`;
    const url = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
    const worker = new Worker(url);
    worker.postMessage({ positions: this.positions });
    worker.onmessage = ({ data }) => this.finish(data);
    return worker;
  }

  /** @param {Float64Array} row  of the depth */
  sort(row) {
    if (this.isBusy) {
      this.waiting = row;
    } else if (this.worker) {
      this.isBusy = true;
      this.worker.postMessage({ row, order: this.spare }, [this.spare.buffer]);
    } else {
      sortByDepth(this.positions, row, this.spare);
      this.done(this.spare);
    }
  }

  /** @param {Uint32Array} order */
  finish(order) {
    this.isBusy = false;
    this.spare = order;
    this.done(order);
    if (this.waiting) {
      const row = this.waiting;
      this.waiting = null;
      this.sort(row);
    }
  }
}
