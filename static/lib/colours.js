/**
 * Colours that programs choose, made readable on the page.
 * Runs on: anywhere; pure.
 */

/** @import { Colour, Style } from "./ansi.js" */

/** @typedef {[number, number, number]} Rgb each part from 0 to 255 */

/**
 * What the page gives to lines: its two own colours and the 16 that have names.
 * @typedef {object} Theme
 * @property {Rgb} foreground
 * @property {Rgb} background
 * @property {Rgb[]} named
 */

/** WCAG 2.1, 1.4.3: the least contrast of text. */
const LEAST_CONTRAST = 4.5;
const CUBE = [0, 95, 135, 175, 215, 255];

/**
 * @param {string} text such as `rgb(1, 2, 3)` or `#010203`
 * @returns {Rgb}
 */
export function parseRgb(text) {
  const digits = /^#([0-9a-f]{6})$/i.exec(text)?.[1];
  const parts = digits
    ? [0, 2, 4].map((at) => Number.parseInt(digits.slice(at, at + 2), 16))
    : (text.match(/[\d.]+/g) ?? []).map(Number);
  return [parts[0] ?? 0, parts[1] ?? 0, parts[2] ?? 0];
}

/** @param {number} part */
function linear(part) {
  const share = part / 255;
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
}

/** @param {Rgb} rgb */
function luminance([red, green, blue]) {
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

/**
 * The contrast of two colours (WCAG 2.1), from 1 to 21.
 * @param {Rgb} one
 * @param {Rgb} other
 * @returns {number}
 */
export function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

/**
 * A colour near `colour` that can be read on `ground`.
 * @param {Rgb} colour
 * @param {Rgb} ground
 * @returns {Rgb}
 */
export function readable(colour, ground) {
  if (contrast(colour, ground) >= LEAST_CONTRAST) return colour;
  const goal = contrast([255, 255, 255], ground) > contrast([0, 0, 0], ground) ? 255 : 0;
  for (let share = 0.1; share < 1; share += 0.1) {
    const mixed = /** @type {Rgb} */ (
      colour.map((part) => Math.round(part + (goal - part) * share))
    );
    if (contrast(mixed, ground) >= LEAST_CONTRAST) return mixed;
  }
  return [goal, goal, goal];
}

/**
 * One of the 256 colours of terminals.
 * @param {number} index
 * @param {Rgb[]} named the first 16
 * @returns {Rgb}
 */
function indexed(index, named) {
  if (index < 16) return named[index];
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return [grey, grey, grey];
  }
  const place = index - 16;
  return [CUBE[Math.floor(place / 36)], CUBE[Math.floor(place / 6) % 6], CUBE[place % 6]];
}

/**
 * What a style is to be drawn in; null is what the line has anyway.
 * @param {Style} style
 * @param {Theme} theme
 * @returns {{colour: string | null, ground: string | null}}
 */
export function coloursOf(style, theme) {
  if (style.fg === null && style.bg === null && !style.inverse)
    return { colour: null, ground: null };
  const rgb = (/** @type {Colour} */ colour, /** @type {Rgb} */ preset) => {
    if (colour === null) return preset;
    return typeof colour === "number" ? indexed(colour, theme.named) : parseRgb(colour);
  };
  let [ink, ground] = [rgb(style.fg, theme.foreground), rgb(style.bg, theme.background)];
  if (style.inverse) [ink, ground] = [ground, ink];
  const isOwnGround = style.bg === null && !style.inverse;
  return {
    colour: `rgb(${readable(ink, ground).join(" ")})`,
    ground: isOwnGround ? null : `rgb(${ground.join(" ")})`,
  };
}
