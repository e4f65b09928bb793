/**
 * The rules for passwords as the hub has them, and a password that fits them.
 * Runs on: anywhere.
 */

const SHORTEST = 8;
const LONGEST = 1024;

/** @type {{words: string, fits: (password: string) => boolean}[]} */
const RULES = [
  {
    words: `At least ${SHORTEST} characters`,
    fits: (password) => {
      const { length } = [...password];
      return length >= SHORTEST && length <= LONGEST;
    },
  },
  { words: "An upper-case letter", fits: (password) => /\p{Lu}/u.test(password) },
  { words: "A lower-case letter", fits: (password) => /\p{Ll}/u.test(password) },
  { words: "A digit", fits: (password) => /\p{Nd}/u.test(password) },
  {
    words: "A special character",
    fits: (password) => /[^\p{L}\p{N}]/u.test(password),
  },
];

/**
 * @param {string} password
 * @returns {{words: string, met: boolean}[]} each rule, and whether the password keeps it
 */
export function checkPassword(password) {
  return RULES.map(({ words, fits }) => ({ words, met: fits(password) }));
}

/** @param {string} password */
export function isGoodPassword(password) {
  return RULES.every(({ fits }) => fits(password));
}

/** Without characters that are taken for each other when they are read aloud or typed off. */
const LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const GROUPS = 4;
const GROUP_LENGTH = 4;

/** @returns {string} */
function randomLetter() {
  const bound = 256 - (256 % LETTERS.length);
  const [byte] = crypto.getRandomValues(new Uint8Array(1));
  return byte < bound ? LETTERS[byte % LETTERS.length] : randomLetter();
}

/** @returns {string} a new password, such as `kT7m-Qx4w-hN9q-Rz2d` */
export function generatePassword() {
  const group = () => Array.from({ length: GROUP_LENGTH }, randomLetter).join("");
  const password = Array.from({ length: GROUPS }, group).join("-");
  return isGoodPassword(password) ? password : generatePassword();
}
