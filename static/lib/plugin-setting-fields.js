/**
 * A plugin's settings as the fields of a form: made of its JSON Schema, filled, and read again.
 * Runs on: anywhere.
 */

/** @import { PluginSettings } from "./types.js" */

/**
 * @typedef {"text" | "lines" | "secret" | "number" | "switch" | "choice" | "choices"} FieldKind
 * `lines` is a long text, or a list of texts with one in each line
 */

/**
 * @typedef {object} PluginField
 * @property {string} name the setting's
 * @property {string} label
 * @property {string} hint
 * @property {FieldKind} kind
 * @property {string} type the JSON Schema's
 * @property {boolean} isNeeded it is required and has no default
 * @property {boolean} isLong a secret of several lines
 * @property {string} [input] the type of the input, where it is not plain text
 * @property {unknown[]} options
 * @property {unknown} [preset] its default
 */

/**
 * What stands in a field: a text, a switch's state, or what is chosen of several.
 * @typedef {string | boolean | string[]} Entry
 */

/** @type {Record<string, string>} */
const INPUTS = { uri: "url", email: "email" };

/** @param {string} name @returns {string} such as `Poll interval` for `poll_interval` */
function words(name) {
  const text = name.replaceAll(/[_.-]+/g, " ").trim();
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** @param {any} setting @returns {FieldKind} */
function kindOf(setting) {
  if (setting.writeOnly === true || setting.format === "password") return "secret";
  if (setting.type === "array") return setting.items.enum ? "choices" : "lines";
  if (setting.enum) return "choice";
  if (setting.type === "boolean") return "switch";
  if (setting.type === "number" || setting.type === "integer") return "number";
  return setting.format === "multiline" ? "lines" : "text";
}

/** @param {any} setting @returns {string} what is allowed, where a sentence is worth it */
function limits({ minimum, maximum }) {
  if (minimum !== undefined && maximum !== undefined) return `From ${minimum} to ${maximum}.`;
  if (minimum !== undefined) return `At least ${minimum}.`;
  return maximum === undefined ? "" : `At most ${maximum}.`;
}

/**
 * @param {any} schema
 * @returns {PluginField[]} in the schema's order
 */
export function fieldsOf(schema) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties).map(([name, setting]) => {
    const isList = setting.type === "array" && !setting.items.enum;
    const hint = [setting.description, limits(setting), isList && "One in each line."];
    return {
      name,
      label: setting.title || words(name),
      hint: hint.filter(Boolean).join(" "),
      kind: kindOf(setting),
      type: setting.type,
      isNeeded: required.has(name) && setting.default === undefined,
      isLong: setting.format === "multiline",
      input: INPUTS[setting.format],
      options: setting.enum ?? setting.items?.enum ?? [],
      preset: setting.default,
    };
  });
}

/** @param {unknown} value @returns {string} as it stands in a field of text */
function asText(value) {
  if (value === undefined) return "";
  return Array.isArray(value) ? value.join("\n") : String(value);
}

/** @param {PluginField} field @returns {string} what is shown where nothing was entered */
export function placeholder(field) {
  return field.kind === "secret" ? "" : asText(field.preset);
}

/**
 * @param {PluginField} field @param {PluginSettings} saved
 * @returns {Entry} what the field shows of what is saved; of a secret, nothing
 */
export function savedEntry(field, saved) {
  const value = Object.hasOwn(saved.values, field.name) ? saved.values[field.name] : undefined;
  if (field.kind === "switch") return (value ?? field.preset ?? false) === true;
  if (field.kind === "choices") {
    const chosen = /** @type {unknown[]} */ (value ?? field.preset ?? []);
    return chosen.map(String);
  }
  return field.kind === "secret" ? "" : asText(value);
}

/** @param {Entry} one @param {Entry} other */
export function isSame(one, other) {
  return String(one) === String(other) && typeof one === typeof other;
}

/** @param {PluginField} field @param {string} text */
function fromText(field, text) {
  if (field.type === "array") {
    const lines = text.split("\n").map((line) => line.trim());
    return lines.filter(Boolean);
  }
  if (field.kind === "choice") return field.options.find((option) => String(option) === text);
  if (field.kind !== "number") return text;
  const number = Number(text.replace(",", "."));
  return Number.isFinite(number) ? number : text; // the hub says what is wrong with it
}

/** @param {PluginField} field @param {boolean} isOn */
function fromSwitch(field, isOn) {
  return isOn === (field.preset ?? false) && !field.isNeeded ? undefined : isOn;
}

/** @param {PluginField} field @param {string[]} chosen */
function fromChoices(field, chosen) {
  const isPreset = isSame(chosen, /** @type {string[]} */ (field.preset ?? []));
  return isPreset && !field.isNeeded ? undefined : chosen;
}

/**
 * @param {PluginField} field @param {Entry} entry
 * @returns {unknown} what the hub is told; undefined where that is nothing, so that the default
 *   holds
 */
export function valueIn(field, entry) {
  if (typeof entry === "boolean") return fromSwitch(field, entry);
  if (Array.isArray(entry)) return fromChoices(field, entry);
  const isEmpty = (field.kind === "secret" ? entry : entry.trim()) === "";
  return isEmpty ? undefined : fromText(field, entry);
}

/**
 * @param {PluginField[]} fields
 * @param {(field: PluginField) => Entry} shown what each field shows
 * @param {string[]} cleared the names of the secrets that are to go
 * @returns {Record<string, unknown>} the values to be saved
 */
export function wishOf(fields, shown, cleared) {
  /** @type {Record<string, unknown>} */
  const wish = {};
  for (const field of fields) {
    const value = valueIn(field, shown(field));
    if (value !== undefined) wish[field.name] = value;
    else if (cleared.includes(field.name)) wish[field.name] = null;
  }
  return wish;
}

/**
 * @param {string} name the plugin's @param {string} applied how it gets what was saved
 * @returns {string} what the person is told
 */
export function savedWords(name, applied) {
  if (applied === "live") return `Saved. ${name} has the new settings.`;
  if (applied === "restart") return `Saved. ${name} is started anew with them.`;
  if (applied === "start") return `Saved. ${name} gets them when it is started.`;
  return "Nothing was changed.";
}
