//! The store of critical events as reads see it: asked for a bounded time, and left alone while it doesn't answer.
//!
//! A read whose key can't be looked up goes on from the event store, so nothing here fails because the store is away. The
//! [breaker](super::breaker) decides whether it is asked. Its probe runs beside the read that set it off, and to its end: nobody waits for
//! it, and an adapter gets to see its own time-out, by which it gives up a connection that is dead.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_core::ports::{Clock, CriticalRow, CriticalStore};
use millstream_core::{Error, ErrorKind, Result, TableSpec, Timestamp, Value};
use tokio::task::JoinSet;

use super::super::time_limit::within;
use super::breaker::{Admission, Breaker, BreakerPolicy, BreakerState, Change, Permit};

/// A probe is given up after so long: an adapter's own time-out comes before that.
const PROBE_MAX: Duration = Duration::from_secs(60);

/// What a look into the store found.
#[derive(Debug)]
pub(crate) enum Looked {
    /// The row.
    Found(CriticalRow),
    /// It holds no such row.
    Nothing,
    /// It wasn't asked, or doesn't answer; it is worth another try after so long.
    Away(Duration),
}

/// The store, and what is known of it.
pub(crate) struct CriticalReads {
    shared: Arc<Shared>,
    /// The probe that is under way, if there is one. It ends with this.
    probes: Mutex<JoinSet<()>>,
}

struct Shared {
    store: Arc<dyn CriticalStore>,
    clock: Arc<dyn Clock>,
    /// How long a read waits.
    timeout: Duration,
    known: Mutex<Known>,
}

struct Known {
    breaker: Breaker,
    /// Why the last call failed.
    why: String,
}

impl CriticalReads {
    /// Reads of `store`, each waiting for `timeout` at the longest.
    pub fn new(store: Arc<dyn CriticalStore>, timeout: Duration, policy: BreakerPolicy, clock: Arc<dyn Clock>) -> Self {
        let known = Mutex::new(Known { breaker: Breaker::new(policy), why: String::new() });
        Self { shared: Arc::new(Shared { store, clock, timeout, known }), probes: Mutex::default() }
    }

    /// Looks for the row with this key. An error is one that the store answered.
    pub async fn get(&self, table: &Arc<TableSpec>, key: &[Value]) -> Result<Looked> {
        let shared = &self.shared;
        let admission = shared.known().breaker.admit(shared.clock.now());
        match admission {
            Admission::Pass(permit) => shared.look(permit, &table.name, key).await,
            Admission::Probe(permit) => {
                self.probe(permit, table.clone(), key.to_vec());
                Ok(Looked::Away(Duration::ZERO))
            }
            Admission::Refused(wait) => Ok(Looked::Away(wait)),
        }
    }

    /// Puts a row that was loaded after a miss; says whether it is there now. A store that is away is not asked; whether it takes rows says
    /// nothing of reads, so the breaker doesn't learn from it.
    pub async fn fill(&self, table: &str, row: &CriticalRow) -> bool {
        let shared = &self.shared;
        if shared.known().breaker.state() != BreakerState::Closed {
            return false;
        }
        let filled = shared.in_time(shared.store.fill(table, row)).await;
        match &filled {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Unavailable => tracing::debug!(%error, table, "a critical event was not filled in"),
            Err(error) => tracing::warn!(%error, table, "a loaded critical event could not be put into the critical store"),
        }
        filled.is_ok()
    }

    /// What the breaker does at the moment.
    pub fn state(&self) -> BreakerState {
        self.shared.known().breaker.state()
    }

    /// Since when reads go on without the store, and why; `None` while they don't.
    pub fn away(&self) -> Option<(Timestamp, String)> {
        let known = self.shared.known();
        match known.breaker.state() {
            BreakerState::Closed => None,
            BreakerState::Open(since) | BreakerState::HalfOpen(since) => Some((since, known.why.clone())),
        }
    }

    fn probe(&self, permit: Permit, table: Arc<TableSpec>, key: Vec<Value>) {
        let shared = self.shared.clone();
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        // There is one at a time, so what is left here has ended.
        while probes.try_join_next().is_some() {}
        probes.spawn(async move {
            let call = Call::new(&shared, permit);
            let began = shared.clock.now();
            let found = within(PROBE_MAX, shared.clock.as_ref(), shared.store.get(&table.name, &key)).await;
            let is_late = shared.clock.now() > began.plus(shared.timeout);
            let failure = match found {
                Some(Err(error)) => Some(error),
                Some(Ok(_)) if !is_late => None,
                Some(Ok(_)) | None => Some(shared.too_slow()),
            };
            call.ended(failure.as_ref());
        });
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look(&self, permit: Permit, table: &str, key: &[Value]) -> Result<Looked> {
        let call = Call::new(self, permit);
        match self.in_time(self.store.get(table, key)).await {
            Ok(found) => {
                call.ended(None);
                Ok(found.map_or(Looked::Nothing, Looked::Found))
            }
            Err(error) => {
                call.ended(Some(&error));
                if error.kind() != ErrorKind::Unavailable {
                    return Err(error);
                }
                Ok(Looked::Away(self.known().breaker.wait(self.clock.now())))
            }
        }
    }

    async fn in_time<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        within(self.timeout, self.clock.as_ref(), call).await.unwrap_or_else(|| Err(self.too_slow()))
    }

    fn too_slow(&self) -> Error {
        Error::unavailable(format!("no answer within {} ms (http.critical_timeout_ms)", self.timeout.as_millis()))
    }

    fn settle(&self, permit: Permit, failure: Option<String>) {
        let now = self.clock.now();
        let mut known = self.known();
        let change = known.breaker.settle(permit, failure.is_none(), now);
        if let Some(why) = failure {
            known.why = why;
        }
        match change {
            None => {}
            Some(Change::Opened) => {
                let why = known.why.as_str();
                tracing::warn!(why, "the store of critical events does not answer; reads go on from the event store until it does");
            }
            Some(Change::Closed(after)) => {
                tracing::info!("the store of critical events answers again, after {} s; reads come from it", after.as_secs());
            }
        }
    }
}

/// A call that is under way. One that is dropped before its end failed: whoever asked for it lost patience.
struct Call<'a> {
    shared: &'a Shared,
    permit: Option<Permit>,
}

impl<'a> Call<'a> {
    fn new(shared: &'a Shared, permit: Permit) -> Self {
        Self { shared, permit: Some(permit) }
    }

    /// The store answered, unless `error` says that it is away.
    fn ended(mut self, error: Option<&Error>) {
        if let Some(permit) = self.permit.take() {
            let failure = error.filter(|error| error.kind() == ErrorKind::Unavailable);
            self.shared.settle(permit, failure.map(ToString::to_string));
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.shared.settle(permit, Some("a client went away before the store answered".to_owned()));
        }
    }
}

#[cfg(test)]
mod tests;
