//! Credit for the bytes of bodies and messages: what may be sent, and what the core may send.

use std::sync::Mutex;

use tokio::sync::Semaphore;

use crate::calls::lock;
use crate::error::PluginError;
use crate::outgoing::gone;

/// What may still be sent; the core gives it back.
pub(crate) struct Credit {
    left: Semaphore,
    limit: usize,
}

impl Credit {
    pub fn new(limit: usize) -> Self {
        Credit { left: Semaphore::new(limit), limit }
    }

    /// Takes some, at most `wanted`, as soon as there is any; fails when it is closed.
    pub async fn take(&self, wanted: usize) -> Result<Taken<'_>, PluginError> {
        self.left.acquire().await.map_err(|_| gone())?.forget();
        let mut taken = Taken { credit: self, count: 1 };
        loop {
            let more = self.left.available_permits().min(wanted.saturating_sub(1));
            match self.left.try_acquire_many(more as u32) {
                Ok(permits) => {
                    permits.forget();
                    taken.count += more;
                    return Ok(taken);
                }
                Err(_) if self.left.is_closed() => return Err(gone()),
                Err(_) => {} // somebody else was quicker, so there is less now
            }
        }
    }

    /// Adds what the core gives; credit for what was never sent counts for nothing.
    pub fn add(&self, count: usize) {
        self.left.add_permits(count.min(self.limit.saturating_sub(self.left.available_permits())));
    }

    /// Fails all who wait for some.
    pub fn close(&self) {
        self.left.close();
    }
}

/// Credit that is taken; what is not spent goes back.
pub(crate) struct Taken<'a> {
    credit: &'a Credit,
    pub count: usize,
}

impl Taken<'_> {
    pub fn spend(mut self, count: usize) {
        self.count = self.count.saturating_sub(count);
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.credit.left.add_permits(self.count);
    }
}

/// What the core may send.
pub(crate) struct Allowance {
    limit: usize,
    counts: Mutex<Counts>,
}

struct Counts {
    granted: usize,
    taken: usize,
}

impl Allowance {
    pub fn new(limit: usize) -> Self {
        Allowance { limit, counts: Mutex::new(Counts { granted: limit, taken: 0 }) }
    }

    /// Counts what has come.
    pub fn spend(&self, size: usize) -> Result<(), PluginError> {
        let mut counts = lock(&self.counts);
        let left = counts.granted.checked_sub(size);
        counts.granted =
            left.ok_or_else(|| PluginError::protocol("FLOW", "data beyond the credit"))?;
        Ok(())
    }

    /// Counts what has been used; returns what to give back: all, as soon as it is half.
    pub fn take(&self, size: usize) -> usize {
        let mut counts = lock(&self.counts);
        counts.taken += size;
        if counts.taken * 2 < self.limit {
            return 0;
        }
        let add = std::mem::take(&mut counts.taken);
        counts.granted += add;
        add
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_comes_back_when_half_is_used_and_more_than_all_is_a_fault() {
        let allowance = Allowance::new(100);
        allowance.spend(60).unwrap();
        assert_eq!(allowance.take(40), 0);
        assert_eq!(allowance.take(20), 60);
        allowance.spend(100).unwrap();
        assert!(allowance.spend(1).is_err());
    }

    #[tokio::test]
    async fn some_credit_is_taken_at_once_and_what_is_not_spent_goes_back() {
        let credit = Credit::new(10);
        let taken = credit.take(100).await.unwrap();
        assert_eq!(taken.count, 10);
        taken.spend(4);
        assert_eq!(credit.take(3).await.unwrap().count, 3);
        drop(credit.take(100).await.unwrap());
        assert_eq!(credit.left.available_permits(), 6);
        credit.add(usize::MAX);
        assert_eq!(credit.left.available_permits(), 10);
        credit.close();
        assert!(credit.take(1).await.is_err());
    }
}
