/**
 * A scrollbar over bytes: it reaches every place of an output of any size.
 * Runs on: the page.
 */
import { useRef, useState } from "preact/hooks";
import { formatBytes } from "../lib/format.js";
import { html } from "../lib/html.js";

/** @import { LinesView } from "../lib/lines-view.js" */

/** @param {number} value */
const clamp = (value) => Math.min(1, Math.max(0, value));

/**
 * Where the thumb is and how long: of the rows when they are all there is, else of the bytes.
 * @param {LinesView} view
 * @param {number} size bytes
 */
function geometry(view, size) {
  const whole = view.whole.value;
  const shown = Math.max(1, view.bottom.value - view.top.value);
  const room = Math.max(1, size - shown);
  return whole
    ? { ...whole, room: 0 }
    : { at: clamp(view.top.value / room), share: clamp(shown / Math.max(1, size)), room };
}

/**
 * @param {{view: LinesView, size: number, controls: string}} props `controls` is the id of the box
 */
export function ByteScrollbar({ view, size, controls }) {
  const track = useRef(/** @type {HTMLDivElement | null} */ (null));
  const grab = useRef(0);
  const [dragged, setDragged] = useState(/** @type {number | null} */ (null));
  const { at, share, room } = geometry(view, size);
  const shown = dragged ?? at;

  const go = (/** @type {number} */ to) => {
    setDragged(to);
    if (room === 0) view.scrollTo(to);
    else if (to >= 1) view.follow();
    else view.seek(to * room);
  };
  const place = (/** @type {PointerEvent} */ event) => {
    const box = /** @type {HTMLDivElement} */ (track.current);
    const thumb = /** @type {HTMLElement} */ (box.firstElementChild);
    const { top, height } = box.getBoundingClientRect();
    return clamp((event.clientY - grab.current - top) / (height - thumb.offsetHeight));
  };
  const press = (/** @type {PointerEvent} */ event) => {
    const box = /** @type {HTMLDivElement} */ (track.current);
    const thumb = /** @type {HTMLElement} */ (box.firstElementChild).getBoundingClientRect();
    const onThumb = event.clientY >= thumb.top && event.clientY <= thumb.bottom;
    grab.current = onThumb ? event.clientY - thumb.top : thumb.height / 2;
    box.setPointerCapture(event.pointerId);
    event.preventDefault();
    go(onThumb ? at : place(event));
  };
  const move = (/** @type {PointerEvent} */ event) => {
    if (dragged !== null) go(place(event));
  };
  const release = () => setDragged(null);

  return html`<div
    ref=${track}
    class="byte-scrollbar"
    role="scrollbar"
    aria-label="Place in the output"
    aria-controls=${controls}
    aria-orientation="vertical"
    aria-valuemin="0"
    aria-valuemax="100"
    aria-valuenow=${Math.round(shown * 100)}
    aria-valuetext=${`${Math.round(shown * 100)} % of ${formatBytes(size)}`}
    hidden=${share >= 1}
    data-dragged=${dragged !== null}
    style=${{ "--at": String(shown), "--share": String(share) }}
    onPointerDown=${press}
    onPointerMove=${move}
    onPointerUp=${release}
    onPointerCancel=${release}
  >
    <div class="thumb"></div>
    ${dragged !== null && html`<output class="thumb-place" aria-hidden="true">${Math.round(shown * 100)} % of ${formatBytes(size)}</output>`}
  </div>`;
}
