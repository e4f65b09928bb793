//! Keys and values in memory, as the core keeps them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::error::PluginError;

const MAX_KEY_BYTES: usize = 256;
const MAX_VALUE_BYTES: usize = 256 * 1024;
const MAX_PAGE: u64 = 1000;
const MAX_BATCH: usize = 100;

#[derive(Clone)]
struct Stored {
    value: String,
    version: u64,
    end: Option<Instant>,
}

/// What is stored.
#[derive(Default)]
pub(crate) struct Store {
    entries: BTreeMap<String, Stored>,
    last_version: u64,
    ahead: Duration,
}

impl Store {
    /// Sets a key, whatever it was.
    pub fn put(&mut self, key: &str, value: &str) {
        self.last_version += 1;
        let stored = Stored { value: value.to_owned(), version: self.last_version, end: None };
        self.entries.insert(key.to_owned(), stored);
    }

    /// Returns all of it.
    pub fn all(&mut self) -> BTreeMap<String, String> {
        self.expire();
        self.entries.iter().map(|(key, stored)| (key.clone(), stored.value.clone())).collect()
    }

    /// Moves the clock on.
    pub fn advance(&mut self, time: Duration) {
        self.ahead += time;
    }

    /// Answers a call; None when it is none about keys.
    pub fn call(&mut self, method: &str, params: &Value) -> Option<Result<Value, PluginError>> {
        self.expire();
        Some(match method {
            "kv.get" => Ok(self.entry(text(params, "key"))),
            "kv.set" => self.set(params).map(|version| json!({ "version": version })),
            "kv.delete" => self.delete(params).map(|deleted| json!({ "deleted": deleted })),
            "kv.list" => self.list(params),
            "kv.batch" => self.batch(params),
            _ => return None,
        })
    }

    fn expire(&mut self) {
        let now = Instant::now() + self.ahead;
        self.entries.retain(|_, stored| stored.end.map_or(true, |end| end > now));
    }

    fn entry(&self, key: &str) -> Value {
        match self.entries.get(key) {
            Some(stored) => json!({"key": key, "value": stored.value, "version": stored.version}),
            None => json!({"key": key, "value": null, "version": 0}),
        }
    }

    fn set(&mut self, params: &Value) -> Result<u64, PluginError> {
        let (key, value) = (text(params, "key"), text(params, "value"));
        self.check_version(params)?;
        if key.is_empty() || key.len() > MAX_KEY_BYTES || value.len() > MAX_VALUE_BYTES {
            let message = format!("a key has {MAX_KEY_BYTES} bytes, a value 256 KiB");
            return Err(PluginError::call("TOO_LARGE", message));
        }
        self.put(key, value);
        let ttl = params.get("ttl_s").and_then(Value::as_f64).map(Duration::from_secs_f64);
        if let (Some(ttl), Some(stored)) = (ttl, self.entries.get_mut(key)) {
            stored.end = Some(Instant::now() + self.ahead + ttl);
        }
        Ok(self.last_version)
    }

    fn delete(&mut self, params: &Value) -> Result<bool, PluginError> {
        self.check_version(params)?;
        Ok(self.entries.remove(text(params, "key")).is_some())
    }

    fn check_version(&self, params: &Value) -> Result<(), PluginError> {
        let key = text(params, "key");
        let found = self.entries.get(key).map_or(0, |stored| stored.version);
        match params.get("if_version").and_then(Value::as_u64) {
            Some(wanted) if wanted != found => {
                Err(PluginError::call("CONFLICT", format!("{key} has another version")))
            }
            _ => Ok(()),
        }
    }

    fn list(&self, params: &Value) -> Result<Value, PluginError> {
        let limit = params.get("limit").and_then(Value::as_u64).unwrap_or(MAX_PAGE);
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(PluginError::call("DENIED", format!("the limit is 1 to {MAX_PAGE}")));
        }
        let (prefix, after) = (text(params, "prefix"), text(params, "cursor"));
        let is_wanted = |key: &&String| key.starts_with(prefix) && key.as_str() > after;
        let mut keys: Vec<_> = self.entries.keys().filter(is_wanted).collect();
        let has_more = keys.len() > limit as usize;
        keys.truncate(limit as usize);
        let cursor = keys.last().filter(|_| has_more);
        let entries: Vec<_> = keys.iter().map(|key| self.entry(key)).collect();
        Ok(json!({"entries": entries, "cursor": cursor}))
    }

    fn batch(&mut self, params: &Value) -> Result<Value, PluginError> {
        let changes = params.get("changes").and_then(Value::as_array).cloned().unwrap_or_default();
        if changes.len() > MAX_BATCH {
            let message = format!("a batch has at most {MAX_BATCH} changes");
            return Err(PluginError::call("TOO_LARGE", message));
        }
        let before = self.entries.clone();
        let versions: Result<Vec<_>, _> = changes
            .iter()
            .map(|change| match text(change, "action") {
                "set" => self.set(change).map(Some),
                _ => self.delete(change).map(|_| None),
            })
            .collect();
        if versions.is_err() {
            self.entries = before;
        }
        versions.map(|versions| json!({ "versions": versions }))
    }
}

fn text<'a>(params: &'a Value, name: &str) -> &'a str {
    params.get(name).and_then(Value::as_str).unwrap_or("")
}
