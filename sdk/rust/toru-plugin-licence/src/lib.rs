//! Licences for proprietary plugins: who may run what until when, verified without any network.
//!
//! ```
//! use toru_plugin_api::{PluginContext, PluginError};
//!
//! const PUBLIC_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
//!
//! fn check(text: &str, context: &PluginContext) -> Result<(), PluginError> {
//!     let found = toru_plugin_licence::verify(text, PUBLIC_KEY, &context.instance_id(), "disk-guard")?;
//!     context.info(&format!("The licence holds for {}.", found.to));
//!     Ok(())
//! }
//! ```
//!
//! A licence is a line `TORU1.<payload>.<signature>`. The payload is JSON with `instance`, `plugin`,
//! `expires` (the last day, in UTC, or null) and `to`; the Ed25519 signature is of all that stands
//! before its dot. Both are base64url without padding. `toru license` makes them.

#![deny(missing_docs)]
// Not for authors, whose compilers may be newer and warn of more.
#![cfg_attr(test, deny(warnings))]
#![forbid(unsafe_code)]

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::signature::{UnparsedPublicKey, ED25519};
use serde_json::Value;
use toru_plugin_api::PluginError;

const PREFIX: &str = "TORU1";
const MAX_CHARACTERS: usize = 8192;
const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
const SECONDS_OF_A_DAY: u64 = 86_400;

/// A licence that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Licence {
    /// The id of the installation that may run the plugin.
    pub instance: String,
    /// The plugin's id.
    pub plugin: String,
    /// The last day on which it holds, in UTC, such as `2027-01-31`; None when it does not end.
    pub expires: Option<String>,
    /// Who it was given to; empty when that was not said.
    pub to: String,
}

/// The licence does not hold; shown, it is a sentence for whoever runs the plugin.
///
/// With `?` it becomes [`PluginError::NeedsConfiguration`], which is right for `init`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LicenceError {
    code: &'static str,
    sentence: String,
}

impl LicenceError {
    fn new(code: &'static str, sentence: impl Into<String>) -> Self {
        LicenceError { code, sentence: sentence.into() }
    }

    /// Returns `damaged`, `wrong_key`, `other_plugin`, `other_instance` or `expired`; or, for what
    /// the plugin's author has done wrong, `public_key` or `not_started`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Returns why it does not hold.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }
}

impl fmt::Display for LicenceError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.sentence)
    }
}

impl std::error::Error for LicenceError {}

impl From<LicenceError> for PluginError {
    fn from(error: LicenceError) -> Self {
        PluginError::NeedsConfiguration(error.sentence)
    }
}

/// Returns a licence if it holds here and now.
///
/// `text` is the licence; blanks and line breaks, as mails put them in, do not matter. `public_key`
/// is that of its author, as `toru license keygen` shows it. `instance_id` is that of this
/// installation: [`PluginContext::instance_id`](toru_plugin_api::PluginContext::instance_id), known from
/// `init` on. `plugin_id` is that of the plugin that asks.
///
/// # Errors
/// It does not hold.
pub fn verify(
    text: &str,
    public_key: &str,
    instance_id: &str,
    plugin_id: &str,
) -> Result<Licence, LicenceError> {
    verify_at(SystemTime::now(), text, public_key, instance_id, plugin_id)
}

/// Returns a licence if it holds at a moment; see [`verify`].
///
/// # Errors
/// It does not hold.
pub fn verify_at(
    now: SystemTime,
    text: &str,
    public_key: &str,
    instance_id: &str,
    plugin_id: &str,
) -> Result<Licence, LicenceError> {
    let key = key_of(public_key)?;
    if instance_id.is_empty() {
        let sentence = "the instance id is known when the plugin has started; use init";
        return Err(LicenceError::new("not_started", sentence));
    }
    let found = read(text, &key)?;
    if found.plugin != plugin_id {
        let sentence =
            format!("This licence is for the plugin {}, not for {plugin_id}.", found.plugin);
        return Err(LicenceError::new("other_plugin", sentence));
    }
    if found.instance.to_lowercase() != instance_id.to_lowercase() {
        let sentence = format!(
            "This licence is for the installation {}; this one is {instance_id}.",
            found.instance
        );
        return Err(LicenceError::new("other_instance", sentence));
    }
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let today = i64::try_from(since.as_secs() / SECONDS_OF_A_DAY).unwrap_or(i64::MAX);
    match &found.expires {
        Some(last) if day_number(last).map_or(true, |last| today > last) => {
            Err(LicenceError::new("expired", format!("This licence expired on {last}.")))
        }
        _ => Ok(found),
    }
}

fn key_of(text: &str) -> Result<Vec<u8>, LicenceError> {
    let key = decoded(text.trim()).filter(|key| key.len() == KEY_BYTES && is_sound_point(key));
    key.ok_or_else(|| {
        let sentence = "this is no public key as `toru license keygen` shows it";
        LicenceError::new("public_key", sentence)
    })
}

fn read(text: &str, key: &[u8]) -> Result<Licence, LicenceError> {
    let plain: String = text.split_whitespace().collect();
    let parts: Vec<&str> = plain.split('.').collect();
    if plain.chars().count() > MAX_CHARACTERS || parts.len() != 3 || parts[0] != PREFIX {
        return Err(damaged());
    }
    let (payload, signature) = match (decoded(parts[1]), decoded(parts[2])) {
        (Some(payload), Some(signature)) if signature.len() == SIGNATURE_BYTES => {
            (payload, signature)
        }
        _ => return Err(damaged()),
    };
    let signed = &plain[..PREFIX.len() + 1 + parts[1].len()];
    if !is_signed(key, signed.as_bytes(), &signature) {
        let sentence =
            "This licence was not signed by the author of this plugin, or was changed afterwards.";
        return Err(LicenceError::new("wrong_key", sentence));
    }
    licence_of(&payload).ok_or_else(damaged)
}

/// Returns whether a signature holds (RFC 8032). Stricter than that: what is of small order signs
/// for anything, and is refused.
fn is_signed(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    is_sound_point(key)
        && is_sound_point(&signature[..KEY_BYTES])
        && UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
}

/// Returns whether the encoding of a point is the only one that it has, and the point not one of
/// the eight whose order divides eight. Whether there is such a point at all, `verify` sees.
fn is_sound_point(encoded: &[u8]) -> bool {
    let mut y = encoded.to_vec();
    y.reverse(); // it is little-endian
    y[0] &= 0x7f; // the sign of x
    let mut prime = [0xff; KEY_BYTES];
    prime[0] = 0x7f;
    prime[KEY_BYTES - 1] = 0xed;
    let mut minus_one = prime;
    minus_one[KEY_BYTES - 1] = 0xec;
    let mut one = [0; KEY_BYTES];
    one[KEY_BYTES - 1] = 1;
    let small = [[0; KEY_BYTES], one, minus_one, ORDER_EIGHT, ORDER_EIGHT_TOO];
    y.as_slice() < prime.as_slice() && !small.iter().any(|bad| bad.as_slice() == y)
}

/// The y of the points of order eight, big-endian; each is the other's negative.
const ORDER_EIGHT: [u8; KEY_BYTES] = [
    0x05, 0xfc, 0x53, 0x6d, 0x88, 0x02, 0x38, 0xb1, 0x39, 0x33, 0xc6, 0xd3, 0x05, 0xac, 0xdf, 0xd5,
    0xf0, 0x98, 0xef, 0xf2, 0x89, 0xf4, 0xc3, 0x45, 0xb0, 0x27, 0xb2, 0xc2, 0x8f, 0x95, 0xe8, 0x26,
];
const ORDER_EIGHT_TOO: [u8; KEY_BYTES] = [
    0x7a, 0x03, 0xac, 0x92, 0x77, 0xfd, 0xc7, 0x4e, 0xc6, 0xcc, 0x39, 0x2c, 0xfa, 0x53, 0x20, 0x2a,
    0x0f, 0x67, 0x10, 0x0d, 0x76, 0x0b, 0x3c, 0xba, 0x4f, 0xd8, 0x4d, 0x3d, 0x70, 0x6a, 0x17, 0xc7,
];

fn licence_of(payload: &[u8]) -> Option<Licence> {
    let said: Value = serde_json::from_slice(payload).ok()?;
    let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
    let expires = match said.get("expires")? {
        Value::Null => None,
        day => Some(day.as_str().filter(|day| day_number(day).is_some())?.to_owned()),
    };
    let to = if said.get("to").is_some() { text("to")? } else { String::new() };
    Some(Licence { instance: text("instance")?, plugin: text("plugin")?, expires, to })
}

/// Returns the days since 1970 of a date such as `2027-01-31`; None when it is none.
fn day_number(text: &str) -> Option<i64> {
    let has_form = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    if !has_form || year == 0 || !(1..=days).contains(&day) {
        return None;
    }
    // Years are counted from March, so that the leap day is the last one.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = years / 4 - years / 100 + years / 400;
    Some(years * 365 + leap_days + (153 * months + 2) / 5 + day - 719_469)
}

/// Returns what base64url without padding (RFC 4648, 5) stands for; None when it is not its only
/// spelling.
fn decoded(text: &str) -> Option<Vec<u8>> {
    if text.len() % 4 == 1 {
        return None;
    }
    let (mut bytes, mut bits, mut count) = (Vec::with_capacity(text.len() * 3 / 4), 0_u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes).filter(|_| bits == 0)
}

fn damaged() -> LicenceError {
    let sentence =
        "This is no whole licence: it is one line that begins with TORU1, to be copied whole.";
    LicenceError::new("damaged", sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    }

    /// RFC 8032, 7.1: public key, message, signature.
    const VECTORS: [(&str, &str, &str); 4] = [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            concat!(
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
                "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
            ),
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            concat!(
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
            ),
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            concat!(
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac",
                "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
            ),
        ),
        (
            "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
            concat!(
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a",
                "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
            ),
            concat!(
                "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589",
                "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"
            ),
        ),
    ];

    #[test]
    fn the_vectors_of_the_rfc_are_verified_and_every_changed_one_refused() {
        for (key, message, signature) in VECTORS {
            let (key, message, signature) = (bytes(key), bytes(message), bytes(signature));
            assert!(is_signed(&key, &message, &signature));
            assert!(!is_signed(&key, &[message.as_slice(), b"x"].concat(), &signature));
            for at in 0..signature.len() {
                let mut changed = signature.clone();
                changed[at] ^= 1;
                assert!(!is_signed(&key, &message, &changed));
            }
        }
    }

    #[test]
    fn points_of_small_order_and_second_spellings_are_no_keys() {
        let mut prime = [0xff; 32];
        prime[0] = 0xed;
        prime[31] = 0x7f;
        let mut too = ORDER_EIGHT_TOO;
        let mut one = [0; 32];
        one[0] = 1;
        too.reverse();
        for mut point in [[0; 32], one, too, prime, [0xff; 32]] {
            assert!(!is_sound_point(&point));
            point[31] ^= 0x80;
            assert!(!is_sound_point(&point));
        }
        assert!(is_sound_point(&bytes(VECTORS[0].0)));
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(day_number("1970-01-01"), Some(0));
        assert_eq!(day_number("2000-02-29"), Some(11_016));
        assert_eq!(day_number("2027-01-31"), Some(20_849));
        for bad in ["2027-02-29", "2027-1-1", "20270101", "2027-13-01", "0000-01-01", "2027-01-0x"]
        {
            assert_eq!(day_number(bad), None);
        }
    }
}
