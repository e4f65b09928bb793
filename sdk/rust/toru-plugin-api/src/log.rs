//! Lines for the plugin's log, as JSON on stderr, where the core collects them.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

/// How important a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What helps to find a fault.
    Debug,
    /// What happens.
    Info,
    /// What should be looked at.
    Warn,
    /// What went wrong.
    Error,
}

impl LogLevel {
    pub(crate) fn name(self) -> &'static str {
        match self {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        }
    }
}

/// Writes a line; one that cannot be written does no harm.
pub(crate) fn write_line(level: LogLevel, message: &str, fields: &Map<String, Value>) {
    let mut record = fields.clone();
    record.insert("timestamp".into(), utc_now().into());
    record.insert("level".into(), level.name().into());
    record.insert("message".into(), message.into());
    let mut line = Value::Object(record).to_string();
    line.push('\n');
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// Writes a line about a failure, with what is known of it.
pub(crate) fn write_failure(message: &str, error: &str) {
    let mut fields = Map::new();
    fields.insert("error".into(), error.into());
    write_line(LogLevel::Error, message, &fields);
}

/// Returns the time as RFC 3339 UTC with milliseconds.
pub(crate) fn utc_now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    rfc_3339(since.as_secs(), since.subsec_millis())
}

fn rfc_3339(seconds: u64, millis: u32) -> String {
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Returns the date of a day since 1970 in the Gregorian calendar, whose years are counted from
/// March here, so that the leap day is the last one.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let since_march_0000 = days + 719_468;
    let era = since_march_0000 / DAYS_OF_400_YEARS;
    let day_of_era = since_march_0000 % DAYS_OF_400_YEARS;
    let leap_days = day_of_era / 1460 + day_of_era / 146_096 - day_of_era / 36_524;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::rfc_3339;

    #[test]
    fn times_are_dates_of_the_calendar() {
        assert_eq!(rfc_3339(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc_3339(951_782_400, 5), "2000-02-29T00:00:00.005Z");
        assert_eq!(rfc_3339(951_868_799, 0), "2000-02-29T23:59:59.000Z");
        assert_eq!(rfc_3339(1_795_442_400, 123), "2026-11-23T14:00:00.123Z");
        assert_eq!(rfc_3339(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
    }
}
