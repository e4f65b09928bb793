//! What a plugin can ask of the core.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::{json, Map, Value};

use crate::calls::lock;
use crate::error::PluginError;
use crate::log::LogLevel;
use crate::server::Server;
use crate::session_v1::SessionV1;

/// The way to the core: its storage for the plugin, its log, its events.
///
/// Cheap to clone, and may be kept. With version 1 of the protocol the core can be asked only while
/// it waits for the answer to a request, over the context which that request came with.
#[derive(Clone)]
pub struct PluginContext {
    server: Arc<Server>,
    request: Option<Weak<SessionV1>>,
}

impl std::fmt::Debug for PluginContext {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("PluginContext").finish_non_exhaustive()
    }
}

impl PluginContext {
    pub(crate) fn new(server: Arc<Server>, request: Option<Weak<SessionV1>>) -> Self {
        PluginContext { server, request }
    }

    /// Returns the plugin's own keys and values, which the core keeps.
    pub fn kv(&self) -> KvStore<'_> {
        KvStore { context: self }
    }

    /// Returns the version of the protocol that the core speaks: 1 or 2.
    pub fn protocol(&self) -> u32 {
        self.server.facts().protocol
    }

    /// Returns the UUID of the hub, for instance to bind a licence to it.
    pub fn instance_id(&self) -> String {
        self.server.facts().instance_id.clone()
    }

    /// Returns the plugin's settings as they are now (version 2).
    pub fn config(&self) -> Value {
        self.server.facts().config.clone()
    }

    /// Changes some of the plugin's own settings, as the administrator's form does, and returns all
    /// (version 2). Null puts a default back; what is left out stays.
    ///
    /// # Errors
    /// The schema does not allow a value; nothing has changed then.
    pub async fn set_config(&self, values: Value) -> Result<Value, PluginError> {
        let before = self.server.facts().config_changes;
        let config = self.call("config.set", json!({ "values": values })).await?;
        // What the core has told meanwhile is at least as new as its answer.
        Ok(self.server.note_config(config, before))
    }

    /// Returns the folder for the plugin's files; empty when the core named none.
    pub fn data_dir(&self) -> String {
        self.server.facts().data_dir.clone()
    }

    /// Returns the file of the plugin's log.
    pub fn log_path(&self) -> String {
        self.server.facts().log_path.clone()
    }

    /// Asks the core for anything that the protocol has: `kv.batch`, `task.run`, `config.get` …
    ///
    /// # Errors
    /// The core refuses it, does not answer within 5 seconds, or cannot be reached now.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, PluginError> {
        if let Some(session) = self.request.as_ref().and_then(Weak::upgrade) {
            return session.call(method, &params).await;
        }
        self.server.call(method, params).await
    }

    /// Tells the core of an event, which it stores and shows live. With version 1, which has no
    /// events, it becomes a line in the log.
    ///
    /// # Errors
    /// The core refuses it.
    pub async fn emit(&self, name: &str, data: Value) -> Result<(), PluginError> {
        if self.protocol() == 1 {
            let fields = json!({"event": name, "data": data});
            self.log(LogLevel::Info, &format!("event {name}"), fields);
            return Ok(());
        }
        self.call("event.emit", json!({"name": name, "data": data})).await.map(drop)
    }

    /// Has events of a name come to [`handle_event`](crate::ToruPlugin::handle_event) from now on
    /// (version 2): `task.started`, `task.finished`, or `plugin.<id>.<name>`, which the plugin of
    /// that id emits.
    ///
    /// # Errors
    /// The core refuses it.
    pub async fn subscribe(&self, name: &str) -> Result<(), PluginError> {
        self.call("event.subscribe", json!({ "name": name })).await?;
        lock(&self.server.subscriptions).insert(name.to_owned());
        Ok(())
    }

    /// Writes a line into the plugin's log, with more fields (a JSON object, or null). Never waits.
    pub fn log(&self, level: LogLevel, message: &str, fields: Value) {
        let fields = match fields {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            other => std::iter::once(("value".to_owned(), other)).collect(),
        };
        self.server.log(level, message, fields);
    }

    /// Logs what happens.
    pub fn info(&self, message: &str) {
        self.log(LogLevel::Info, message, Value::Null);
    }

    /// Logs what should be looked at.
    pub fn warn(&self, message: &str) {
        self.log(LogLevel::Warn, message, Value::Null);
    }

    /// Logs what went wrong.
    pub fn error(&self, message: &str) {
        self.log(LogLevel::Error, message, Value::Null);
    }

    /// Says what a slow [`init`](crate::ToruPlugin::init) is busy with, and that it may take so
    /// much longer, 10 minutes in all. With version 1 it is only logged.
    pub async fn status(&self, text: &str, extend: Duration) {
        self.server.status(text, extend).await;
    }
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvEntry {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Of the change that made it.
    pub version: Option<u64>,
}

/// Conditions of a change (version 2).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct KvOptions {
    /// When the key is to be gone.
    pub ttl: Option<Duration>,
    /// Change it only when it has this version, 0: when it is not there. Otherwise the change fails
    /// with `CONFLICT`.
    pub if_version: Option<u64>,
}

/// The plugin's own keys and values: text, at most 256 bytes and 256 KiB.
///
/// Every method fails with [`PluginError::Call`] when the core refuses, or cannot be asked now.
#[derive(Debug, Clone, Copy)]
pub struct KvStore<'a> {
    context: &'a PluginContext,
}

impl KvStore<'_> {
    /// Returns the value of a key; None when it is not there.
    pub async fn get(&self, key: &str) -> Result<Option<String>, PluginError> {
        Ok(self.entry(key).await?.map(|entry| entry.value))
    }

    /// Returns a key with its version; None when it is not there.
    pub async fn entry(&self, key: &str) -> Result<Option<KvEntry>, PluginError> {
        let found = self.context.call("kv.get", json!({"key": key})).await?;
        entry_of(&found, key)
    }

    /// Sets a key.
    pub async fn set(&self, key: &str, value: &str) -> Result<(), PluginError> {
        let params = json!({"key": key, "value": value});
        self.context.call("kv.set", params).await.map(drop)
    }

    /// Sets a key under conditions; returns its new version. Version 2 only.
    pub async fn set_with(
        &self,
        key: &str,
        value: &str,
        options: KvOptions,
    ) -> Result<Option<u64>, PluginError> {
        let mut params = json!({"key": key, "value": value});
        if let Some(ttl) = options.ttl {
            params["ttl_s"] = json!(ttl.as_secs_f64());
        }
        if let Some(version) = options.if_version {
            params["if_version"] = json!(version);
        }
        let made = self.context.call("kv.set", params).await?;
        Ok(made.get("version").unwrap_or(&made).as_u64())
    }

    /// Deletes a key; it need not be there.
    pub async fn delete(&self, key: &str) -> Result<(), PluginError> {
        self.context.call("kv.delete", json!({"key": key})).await.map(drop)
    }

    /// Returns all keys that begin with `prefix`, and their values. Version 2 only.
    pub async fn list(&self, prefix: &str) -> Result<BTreeMap<String, String>, PluginError> {
        let mut entries = BTreeMap::new();
        let mut params = json!({"prefix": prefix, "limit": 1000});
        loop {
            let page = self.context.call("kv.list", params.clone()).await?;
            for item in page.get("entries").and_then(Value::as_array).into_iter().flatten() {
                if let Some(entry) = entry_of(item, "")? {
                    entries.insert(entry.key, entry.value);
                }
            }
            match page.get("cursor") {
                Some(cursor) if cursor.is_string() => params["cursor"] = cursor.clone(),
                _ => return Ok(entries),
            }
        }
    }
}

fn entry_of(found: &Value, key: &str) -> Result<Option<KvEntry>, PluginError> {
    let value = match found {
        Value::Object(fields) => fields.get("value").unwrap_or(&Value::Null),
        plain => plain,
    };
    match value {
        Value::Null => Ok(None),
        Value::String(value) => Ok(Some(KvEntry {
            key: found.get("key").and_then(Value::as_str).unwrap_or(key).to_owned(),
            value: value.clone(),
            version: found.get("version").and_then(Value::as_u64),
        })),
        _ => Err(PluginError::call("INTERNAL", "the core answered something else than text")),
    }
}
