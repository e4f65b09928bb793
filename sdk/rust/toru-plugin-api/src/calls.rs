//! Calls from the plugin to the core over version 2, and the limits that they keep.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{json, Value};
use tokio::sync::{oneshot, Semaphore};
use tokio::time::{sleep, timeout};

use crate::error::PluginError;
use crate::frame::encode;
use crate::outgoing::{gone, Outgoing};

pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(100);
const MAX_BUSY_RETRIES: usize = 10;
const LOGS_PER_S: f64 = 50.0;
const LOG_BURST: f64 = 100.0;
/// After it the ids begin anew; at 200 calls a second that is after four months.
const LAST_ID: u32 = 0xFFFF_FFFE;

/// What a call ends with.
pub(crate) type Outcome = Result<Value, PluginError>;

/// The answers that are waited for, by their id; none once the connection is lost.
pub(crate) struct Waiting<K>(Mutex<Option<HashMap<K, oneshot::Sender<Outcome>>>>);

impl<K: std::hash::Hash + Eq + Clone> Waiting<K> {
    pub fn new() -> Self {
        Waiting(Mutex::new(Some(HashMap::new())))
    }

    /// Begins to wait; None when the connection is lost.
    pub fn begin(&self, id: K) -> Option<Ticket<'_, K>> {
        let (sender, answer) = oneshot::channel();
        lock(&self.0).as_mut()?.insert(id.clone(), sender);
        Some(Ticket { waiting: self, id, answer })
    }

    /// Passes an answer on; returns whether somebody waited for it.
    pub fn end(&self, id: &K, outcome: Outcome) -> bool {
        let found = lock(&self.0).as_mut().and_then(|waiting| waiting.remove(id));
        found.map_or(false, |sender| sender.send(outcome).is_ok())
    }

    /// Fails what waits, and all that begins from now on.
    pub fn fail_all(&self) {
        lock(&self.0).take();
    }
}

/// One answer that is waited for; dropped, it is not any more.
pub(crate) struct Ticket<'a, K: std::hash::Hash + Eq + Clone> {
    waiting: &'a Waiting<K>,
    id: K,
    answer: oneshot::Receiver<Outcome>,
}

impl<K: std::hash::Hash + Eq + Clone> Ticket<'_, K> {
    /// Waits for the answer; None when it did not come in time.
    pub async fn outcome(&mut self) -> Option<Outcome> {
        match timeout(CALL_TIMEOUT, &mut self.answer).await {
            Ok(outcome) => Some(outcome.unwrap_or_else(|_| Err(gone()))),
            Err(_) => None,
        }
    }
}

impl<K: std::hash::Hash + Eq + Clone> Drop for Ticket<'_, K> {
    fn drop(&mut self) {
        if let Some(waiting) = lock(&self.waiting.0).as_mut() {
            waiting.remove(&self.id);
        }
    }
}

/// Locks; what a panic left behind is whole, since nothing is changed in more than one step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn late(method: &str) -> PluginError {
    PluginError::call("DEADLINE", format!("no answer to {method}"))
}

/// The calls of one connection of version 2.
pub(crate) struct Calls {
    pub waiting: Waiting<u32>,
    last_id: Mutex<u32>,
    room: Semaphore,
    log_credit: Mutex<(f64, Instant)>,
    max_json: usize,
}

impl Calls {
    /// `max_open` calls may be open at once, one log line among them.
    pub fn new(max_open: usize, max_json: usize) -> Self {
        Calls {
            waiting: Waiting::new(),
            last_id: Mutex::new(0),
            room: Semaphore::new(max_open.saturating_sub(1).max(1)),
            log_credit: Mutex::new((LOG_BURST, Instant::now())),
            max_json,
        }
    }

    /// Asks the core; asks again when it is busy.
    pub async fn call(&self, to: &Outgoing, method: &str, params: &Value) -> Outcome {
        for _ in 0..MAX_BUSY_RETRIES {
            match self.ask_in_turn(to, method, params).await {
                Err(PluginError::Call { code, retryable: true, .. }) if code == "BUSY" => {}
                outcome => return outcome,
            }
            sleep(BUSY_PAUSE).await; // the core counts calls a second, and did nothing
        }
        self.ask_in_turn(to, method, params).await
    }

    /// Sends a log line, one at a time.
    pub async fn log(&self, to: &Outgoing, params: &Value) -> Outcome {
        self.ask(to, "log", params).await
    }

    async fn ask_in_turn(&self, to: &Outgoing, method: &str, params: &Value) -> Outcome {
        let _turn = self.room.acquire().await.map_err(|_| gone())?;
        self.ask(to, method, params).await
    }

    async fn ask(&self, to: &Outgoing, method: &str, params: &Value) -> Outcome {
        let id = self.new_id();
        let deadline_ms = CALL_TIMEOUT.as_millis() as u64;
        let message = json!({
            "type": "call", "id": id, "method": method, "params": params, "deadline_ms": deadline_ms,
        });
        let frame = encode(&message, self.max_json).map_err(|error| {
            PluginError::call("TOO_LARGE", format!("{method} cannot be sent: {error}"))
        })?;
        let mut ticket = self.waiting.begin(id).ok_or_else(gone)?;
        to.send(frame).await?;
        if let Some(outcome) = ticket.outcome().await {
            return outcome;
        }
        let cancel = json!({"type": "cancel", "id": id, "reason": "deadline"});
        to.send(encode(&cancel, self.max_json)?).await?;
        Err(late(method))
    }

    fn new_id(&self) -> u32 {
        let mut last = lock(&self.last_id);
        *last = if *last < LAST_ID { *last + 2 } else { 2 };
        *last
    }

    /// Returns whether the core would take a log line now, which counts as sent then.
    pub fn may_log(&self) -> bool {
        let mut credit = lock(&self.log_credit);
        let now = Instant::now();
        let earned = now.duration_since(credit.1).as_secs_f64() * LOGS_PER_S;
        *credit = ((credit.0 + earned).min(LOG_BURST), now);
        let may = credit.0 >= 1.0;
        if may {
            credit.0 -= 1.0;
        }
        may
    }
}
