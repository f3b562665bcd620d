//! The ports of real systems with somebody who listens: each call's outcome tells [`EngineHealth`] whether the system answers. Nothing
//! else is changed: errors and results pass as they are.

mod checkpoints;
mod event_store;
mod lake_store;
mod log;
mod references;
mod reports;
mod schemas;

use std::sync::Arc;

use futures::StreamExt;
use millstream_core::Result;
use millstream_core::batches::BatchStream;

use super::health::EngineHealth;

/// A port of a real system, and what listens to it.
pub struct Watched<P: ?Sized> {
    inner: Arc<P>,
    health: Arc<EngineHealth>,
}

impl<P: ?Sized> Watched<P> {
    /// Lets `health` listen to `inner`.
    pub fn new(inner: Arc<P>, health: Arc<EngineHealth>) -> Arc<Self> {
        Arc::new(Self { inner, health })
    }

    /// Listens to a stream's items, too.
    fn stream(&self, outcome: Result<BatchStream>) -> Result<BatchStream> {
        let health = self.health.clone();
        let stream = self.health.observe(outcome)?;
        Ok(stream.map(move |batch| health.observe(batch)).boxed())
    }
}
