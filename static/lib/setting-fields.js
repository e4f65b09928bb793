/**
 * The settings in words: what each is called, in which unit it is shown, and what goes together.
 * Runs on: anywhere.
 */
import { formatBytes, formatDuration } from "./format.js";

/** @import { Setting } from "./types.js" */

/**
 * @typedef {object} SettingField
 * @property {string} label
 * @property {string} [help] instead of the hub's description
 * @property {string} [unit]
 * @property {number} [factor] what one of the unit is in the hub's
 * @property {string} [zero] what 0 means
 * @property {Record<string, string>} [options] words by value
 * @property {boolean} [wide] a long text
 * @property {(value: number) => string} [echo] the same said in another way
 */

const MB = 1024 * 1024;

/** @type {Record<string, SettingField>} */
const FIELDS = {
  scripts_dir: {
    label: "Scripts folder",
    help: "Files in it that end in .sh or .bash can be run. A change is in force at once.",
    wide: true,
  },
  max_concurrent_tasks: {
    label: "Runs at one time",
    help: "More of them wait until one ends.",
    unit: "runs",
  },
  max_queued_tasks: {
    label: "Runs that may wait",
    help: "One more is refused.",
    unit: "runs",
  },
  run_time_limit_s: {
    label: "Time limit of a run",
    help: "A run that takes longer is ended.",
    unit: "seconds",
    zero: "no limit",
    echo: (value) => (value >= 60 ? formatDuration(value) : ""),
  },
  cancel_grace_s: {
    label: "Patience after a cancel",
    help: "So long a cancelled script may tidy up before it is ended by force.",
    unit: "seconds",
    zero: "by force at once",
    echo: (value) => (value >= 60 ? formatDuration(value) : ""),
  },
  leftover_policy: {
    label: "What a script leaves running",
    help: "Programs that a script started in the background and that outlive it.",
    options: { end: "End it with the script", leave: "Let it be" },
  },
  max_output_bytes: {
    label: "Output kept of one run",
    help: "Of more than that, the beginning and the end are kept.",
    unit: "MB",
    factor: MB,
    echo: (value) => (value >= 1024 * MB ? formatBytes(value) : ""),
  },
  history_retention_days: {
    label: "Keep ended runs for",
    help: "Older ones are deleted with their output.",
    unit: "days",
    zero: "for ever",
  },
  history_max_runs: {
    label: "Keep at most",
    help: "Of more than that, the oldest are deleted with their output.",
    unit: "ended runs",
    zero: "all of them",
  },
};

/** @type {{title: string, keys: string[]}[]} */
const GROUPS = [
  { title: "Scripts", keys: ["scripts_dir"] },
  {
    title: "Runs",
    keys: [
      "max_concurrent_tasks",
      "max_queued_tasks",
      "run_time_limit_s",
      "cancel_grace_s",
      "leftover_policy",
    ],
  },
  { title: "History", keys: ["history_retention_days", "history_max_runs", "max_output_bytes"] },
];
const OTHERS = "More";

/**
 * @param {Setting} setting
 * @returns {SettingField} of one that has no words yet, made of its key
 */
export function fieldOf({ key, description }) {
  const words = key.replaceAll("_", " ");
  const label = words.slice(0, 1).toUpperCase() + words.slice(1);
  return FIELDS[key] ?? { label, help: description };
}

/**
 * @param {Setting[]} settings
 * @returns {{title: string, settings: Setting[]}[]} every one that can be changed, in its group
 */
export function grouped(settings) {
  const open = settings.filter((setting) => !setting.read_only);
  const known = GROUPS.flatMap(({ keys }) => keys);
  const others = open.filter(({ key }) => !known.includes(key)).map(({ key }) => key);
  return [...GROUPS, { title: OTHERS, keys: others }]
    .map(({ title, keys }) => ({
      title,
      settings: keys.flatMap((key) => open.filter((setting) => setting.key === key)),
    }))
    .filter((group) => group.settings.length > 0);
}

/**
 * @param {SettingField} field @param {string} value the hub's
 * @returns {string} in the unit that is shown
 */
export function toShown({ factor }, value) {
  return factor ? String(Number((Number(value) / factor).toFixed(6))) : value;
}

/**
 * @param {SettingField} field @param {string} shown
 * @returns {string} what the hub is told; what is no number is left to the hub to refuse
 */
export function toStored({ factor }, shown) {
  const text = shown.trim();
  const value = Number(text);
  if (!factor || text === "" || !Number.isFinite(value)) return text;
  return String(Math.round(value * factor));
}

/**
 * @param {SettingField} field @param {string} value the hub's
 * @returns {string} what the number means, where that is not plain; else empty
 */
export function meaning(field, value) {
  const number = Number(value);
  if (value.trim() === "" || !Number.isFinite(number)) return "";
  return number === 0 ? (field.zero ?? "") : (field.echo?.(number) ?? "");
}

/**
 * @param {SettingField} field @param {string} value the hub's
 * @returns {string} such as `64 MB` or `90 days`
 */
export function inWords(field, value) {
  if (field.options) return field.options[value] ?? value;
  if (Number(value) === 0 && field.zero) return field.zero;
  return field.unit ? `${toShown(field, value)} ${field.unit}` : value;
}

/**
 * The hub's refusal as it is said at the field: without its key, and in its unit.
 * @param {SettingField} field @param {string} key @param {string} words
 * @returns {string}
 */
export function refusalAt({ factor, unit }, key, words) {
  const text = words.replace(`The setting ${key} must be`, "This must be");
  if (!factor) return text;
  const inUnit = text.replace(/\d[\d,]*/g, (digits) =>
    (Number(digits.replaceAll(",", "")) / factor).toLocaleString("en"),
  );
  return inUnit.replace("a whole number", `a number of ${unit}`);
}
