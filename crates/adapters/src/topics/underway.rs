//! [`Underway`]: work that is carried out to its end even if nobody waits for it any more, so that a dropped call leaves nothing half done.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use millstream_core::{Error, Result};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Calls that are under way. Dropping it ends them where they are, as the death of the process would.
#[derive(Default)]
pub(crate) struct Underway {
    calls: Mutex<JoinSet<()>>,
}

impl Underway {
    /// Carries `call` out, and returns what it returns.
    pub(crate) async fn to_its_end<T: Send + 'static>(&self, call: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let (done, outcome) = oneshot::channel();
        {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            while calls.try_join_next().is_some() {}
            calls.spawn(async move { drop(done.send(call.await)) });
        }
        outcome.await.map_err(|e| Error::internal("a write to a topic ended early").caused_by(e))?
    }
}
