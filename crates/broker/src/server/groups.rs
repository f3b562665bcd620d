//! The shell around the group coordinator: brings it requests and the time, hands its late answers to who waits for them, and keeps
//! committed offsets in a file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka_protocol::ResponseError;
use millstream_core::Timestamp;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::coordinator::{Coordinator, Join, JoinRefused, Joined, OffsetChange, Reply, Sync, Synced, Ticket};
use crate::log::{Log, LogError, OffsetFile, blocking};

/// With nothing to wait for, the time is looked at this often all the same.
const IDLE_TICK: Duration = Duration::from_secs(60);

/// The groups of this endpoint.
#[derive(Debug)]
pub struct Groups {
    log: Arc<Log>,
    state: Mutex<State>,
    /// Told when the next deadline may have come nearer.
    sooner: Notify,
}

#[derive(Debug)]
struct State {
    coordinator: Coordinator,
    next_ticket: u64,
    joins: HashMap<Ticket, oneshot::Sender<Result<Joined, JoinRefused>>>,
    syncs: HashMap<Ticket, oneshot::Sender<Result<Synced, ResponseError>>>,
}

impl State {
    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// Hands out what became ready. Somebody whose connection is gone just doesn't get it.
    fn deliver(&mut self) {
        for reply in self.coordinator.take_replies() {
            match reply {
                Reply::Join(ticket, outcome) => {
                    if let Some(waiting) = self.joins.remove(&ticket) {
                        let _ = waiting.send(outcome);
                    }
                }
                Reply::Sync(ticket, outcome) => {
                    if let Some(waiting) = self.syncs.remove(&ticket) {
                        let _ = waiting.send(outcome);
                    }
                }
            }
        }
    }
}

impl Groups {
    /// No groups yet, and the offsets that `log` keeps.
    pub fn new(log: Arc<Log>) -> Self {
        let coordinator = Coordinator::new(log.clock().now().micros(), log.settings().groups_max);
        let state = State { coordinator, next_ticket: 0, joins: HashMap::new(), syncs: HashMap::new() };
        Self { log, state: Mutex::new(state), sooner: Notify::new() }
    }

    /// Does something with the coordinator at the present time.
    pub fn with<T>(&self, work: impl FnOnce(&mut Coordinator, Timestamp) -> T) -> T {
        let now = self.log.clock().now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.coordinator.next_deadline();
        let done = work(&mut state.coordinator, now);
        state.deliver();
        let after = state.coordinator.next_deadline();
        drop(state);
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.sooner.notify_one();
        }
        done
    }

    /// Joins, and waits until the group begins its next generation. `None`: the endpoint shuts down.
    pub async fn join(&self, join: Join, shutdown: &CancellationToken) -> Option<Result<Joined, JoinRefused>> {
        let (sender, receiver) = oneshot::channel();
        let ticket = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let ticket = state.ticket();
            state.joins.insert(ticket, sender);
            ticket
        };
        self.with(|coordinator, now| coordinator.join(now, ticket, join));
        tokio::select! {
            () = shutdown.cancelled() => None,
            joined = receiver => joined.ok(),
        }
    }

    /// Asks for the assignment, and waits until the leader has brought it. `None`: the endpoint shuts down.
    pub async fn sync(&self, sync: Sync, shutdown: &CancellationToken) -> Option<Result<Synced, ResponseError>> {
        let (sender, receiver) = oneshot::channel();
        let ticket = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let ticket = state.ticket();
            state.syncs.insert(ticket, sender);
            ticket
        };
        self.with(|coordinator, now| coordinator.sync(now, ticket, &sync));
        tokio::select! {
            () = shutdown.cancelled() => None,
            synced = receiver => synced.ok(),
        }
    }

    /// The committed offsets.
    pub fn offsets(&self) -> &OffsetFile {
        self.log.offsets()
    }

    /// Stores a change of committed offsets; when this returns, it is as durable as the settings say.
    pub async fn store(&self, change: OffsetChange) -> Result<(), LogError> {
        let offsets = self.log.offsets().clone();
        blocking(move || offsets.store(change)).await
    }

    /// Lets the coordinator's time pass until `shutdown`.
    pub async fn keep_time(&self, shutdown: CancellationToken) {
        let clock = self.log.clock().clone();
        loop {
            let deadline = self.with(|coordinator, _| coordinator.next_deadline());
            let wait = deadline.map_or(IDLE_TICK, |d| {
                let micros = d.micros().saturating_sub(clock.now().micros());
                // A millisecond more, so that the deadline has passed when it is looked at.
                Duration::from_micros(u64::try_from(micros).unwrap_or(0)) + Duration::from_millis(1)
            });
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.sooner.notified() => continue,
                () = clock.sleep(wait.min(IDLE_TICK)) => {}
            }
            self.with(|coordinator, now| coordinator.tick(now));
        }
    }
}
