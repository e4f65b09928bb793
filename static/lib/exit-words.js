/**
 * What an exit code says, for people who do not know them by heart.
 * Runs on: anywhere.
 */

/** Signals that scripts meet (signal(7) of Linux), and what they mean to a person.
 * @type {Record<number, string>} */
const SIGNALS = {
  1: "its terminal was closed (HUP)",
  2: "it was interrupted (INT)",
  3: "it was told to quit (QUIT)",
  4: "it did something impossible (ILL)",
  6: "it gave up by itself (ABRT)",
  7: "it reached for memory that is not there (BUS)",
  8: "it could not calculate on (FPE)",
  9: "it was ended by force (KILL)",
  11: "it crashed (SEGV)",
  13: "nobody read its output any more (PIPE)",
  14: "its alarm went off (ALRM)",
  15: "it was told to end (TERM)",
  24: "it had used up its processor time (XCPU)",
  25: "a file became too large (XFSZ)",
};

/** @param {number} number */
const signalWords = (number) => SIGNALS[number] ?? `it got signal ${number}`;

/** A shell ends with 128 and the number of the signal that ended what it ran. */
const SHELL_SIGNALS = 128;
const LAST_SIGNAL = 64;

/**
 * @param {number | null | undefined} code negative: the signal that ended it
 * @returns {string | null} null when there is none
 */
export function exitWords(code) {
  if (code == null) return null;
  if (code < 0) return `none, ${signalWords(-code)}`;
  if (code === 0) return "0, all went well";
  if (code === 126) return "126, a program in it may not be executed";
  if (code === 127) return "127, a program in it was not found";
  const signal = code - SHELL_SIGNALS;
  if (signal > 0 && signal <= LAST_SIGNAL) return `${code}, ${signalWords(signal)}`;
  return `${code}, the script reports a failure`;
}
