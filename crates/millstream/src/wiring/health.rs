//! What this process knows of the systems behind its ports: whether each answers, and if not, since when and why.
//!
//! It is told by the ports' own calls ([`watched`](super::watched)), and asks a system by itself only while it is away, and where no call has said
//! anything for a while: a report store is used every few minutes, and a person wants to know at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures::future::join_all;
use millstream_core::ports::Clock;
use millstream_core::retry::Backoff;
use millstream_core::status::EngineStatus;
use millstream_core::time::micros_of;
use millstream_core::{ErrorKind, Result, Timestamp};
use tokio_util::sync::CancellationToken;

use super::boxes::names;

/// A system of which nothing was heard for so long is asked.
const SILENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether one is silent.
const LOOK: Duration = Duration::from_secs(2);

/// An answer may take so long.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What an engine inside this process is called.
pub const BUILT_IN: &str = "built in";

/// Asks a system for a sign of life.
pub type Probe = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// What to do about a system that is away when it is first needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Try again until it is there: what runs for long.
    Wait,
    /// Say so and end: what a person asked for just now.
    Fail,
}

/// The systems of a process.
pub struct Engines {
    engines: RwLock<Vec<Arc<EngineHealth>>>,
    patience: Patience,
    clock: Arc<dyn Clock>,
}

/// One system behind one box.
pub struct EngineHealth {
    serves: &'static str,
    system: &'static str,
    place: String,
    probe: Option<Probe>,
    patience: Patience,
    clock: Arc<dyn Clock>,
    away: Mutex<Option<(Timestamp, String)>>,
    /// When a call last said something, in microseconds.
    heard: AtomicI64,
}

impl Engines {
    /// None yet.
    pub fn new(patience: Patience, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { engines: RwLock::default(), patience, clock })
    }

    /// Adds a system that serves the box `serves` at `place`, once; `probe` asks it for a sign of life.
    pub fn add(&self, serves: &'static str, system: &'static str, place: impl Into<String>, probe: Option<Probe>) -> Arc<EngineHealth> {
        let mut engines = self.engines.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = engines.iter().find(|e| e.serves == serves && e.system == system) {
            return known.clone();
        }
        let engine = Arc::new(EngineHealth {
            serves,
            system,
            place: place.into(),
            probe,
            patience: self.patience,
            clock: self.clock.clone(),
            away: Mutex::default(),
            heard: AtomicI64::new(self.clock.now().micros()),
        });
        if self.patience == Patience::Wait {
            tracing::info!(place = engine.place, "{serves}: {system}");
        }
        engines.push(engine.clone());
        engines.sort_by_key(|engine| names::ALL.iter().position(|name| *name == engine.serves));
        engine
    }

    /// Adds an engine inside this process, which is there as long as the process is.
    pub fn add_built_in(&self, serves: &'static str, place: impl Into<String>) {
        self.add(serves, BUILT_IN, place, None);
    }

    /// How each stands.
    pub fn status(&self) -> Vec<EngineStatus> {
        self.all().iter().map(|engine| engine.status()).collect()
    }

    /// Does `work`, which needs several systems, until it is done: what [`Unavailable`](ErrorKind::Unavailable) stops is tried again, with
    /// back-off, where [`Patience`] says so. Any other error ends it.
    pub async fn until_there<T>(&self, work: impl AsyncFnMut() -> Result<T>) -> Result<T> {
        until_there(self.patience, self.clock.as_ref(), work).await
    }

    /// Asks systems that are silent or away for a sign of life until `shutdown`.
    pub async fn watch(&self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.clock.sleep(LOOK) => {}
            }
            let unsure: Vec<_> = self.all().into_iter().filter(|engine| engine.is_silent() || engine.is_known_away()).collect();
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = join_all(unsure.iter().map(|engine| engine.ask())) => {}
            }
        }
    }

    fn all(&self) -> Vec<Arc<EngineHealth>> {
        self.engines.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl EngineHealth {
    /// Learns from the outcome of a call, and passes it on.
    pub fn observe<T>(&self, outcome: Result<T>) -> Result<T> {
        match &outcome {
            Err(error) if error.kind() == ErrorKind::Unavailable => self.is_away(error.to_string()),
            // A defect says nothing of the system.
            Err(error) if error.kind() == ErrorKind::Internal => {}
            _ => self.answers(),
        }
        outcome
    }

    /// Learns from the outcome of a call that may be answered by what the system sent before, and passes it on. Such an answer doesn't bring back a system
    /// that is away and can be asked.
    pub fn observe_reader<T>(&self, outcome: Result<T>) -> Result<T> {
        if outcome.is_ok() && self.probe.is_some() && self.is_known_away() { outcome } else { self.observe(outcome) }
    }

    /// Does `work`, which needs this system alone, until it is done, as [`Engines::until_there`] does.
    pub async fn until_there<T>(&self, mut work: impl AsyncFnMut() -> Result<T>) -> Result<T> {
        until_there(self.patience, self.clock.as_ref(), async || self.observe(work().await)).await
    }

    fn answers(&self) {
        self.heard.store(self.clock.now().micros(), Ordering::Relaxed);
        if let Some((since, _)) = self.away.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let seconds = (self.clock.now().micros() - since.micros()) / 1_000_000;
            tracing::info!(system = self.system, place = self.place, "{} is back after {seconds} s ({})", self.system, self.serves);
        }
    }

    fn is_away(&self, why: String) {
        let now = self.clock.now();
        self.heard.store(now.micros(), Ordering::Relaxed);
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match away.take() {
            Some((since, _)) => since,
            // Whoever asked just now is told by the call's own error.
            None if self.patience == Patience::Fail => now,
            None => {
                tracing::warn!(
                    system = self.system,
                    place = self.place,
                    "{} is away ({}), what needs it waits and goes on by itself: {why}",
                    self.system,
                    self.serves
                );
                now
            }
        };
        *away = Some((since, why));
    }

    fn status(&self) -> EngineStatus {
        EngineStatus {
            serves: self.serves.to_owned(),
            system: self.system.to_owned(),
            place: self.place.clone(),
            away: self.away.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn is_known_away(&self) -> bool {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn is_silent(&self) -> bool {
        let silence = self.clock.now().micros() - self.heard.load(Ordering::Relaxed);
        self.probe.is_some() && silence >= micros_of(SILENCE)
    }

    async fn ask(&self) {
        let Some(probe) = &self.probe else { return };
        let outcome = tokio::select! {
            outcome = probe() => outcome,
            () = self.clock.sleep(ANSWER_MAX) => {
                Err(millstream_core::Error::unavailable(format!("no answer within {} s", ANSWER_MAX.as_secs())))
            }
        };
        match outcome {
            Ok(()) => self.answers(),
            // Whatever it is: a password that is no longer right keeps calls from it, too.
            Err(error) => self.is_away(error.to_string()),
        }
    }
}

async fn until_there<T>(patience: Patience, clock: &dyn Clock, mut work: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let mut failures = 0;
    loop {
        match work().await {
            Err(error) if error.kind() == ErrorKind::Unavailable && patience == Patience::Wait => {
                failures += 1;
                tracing::debug!(failures, "waiting: {error}");
            }
            done => return done,
        }
        clock.sleep(Backoff::DEFAULT.delay(failures)).await;
    }
}

#[cfg(test)]
mod tests;
