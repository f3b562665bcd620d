//! [`FinishingTopicSink`]: a sink into topics whose calls are carried out to their end even if nobody waits for them any more, so that a
//! dropped call leaves nothing half done.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use millstream_core::ports::{EpochSink, EpochWrite, Isolation, TopicOutput, TopicSink};
use millstream_core::{Attempt, Epoch, Error, FlowId, Result, TableSpec};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// `inner`, whose calls end by themselves. Dropping this ends those that are under way where they are, as the death of the process would.
pub struct FinishingTopicSink<S> {
    inner: Arc<S>,
    underway: Mutex<JoinSet<()>>,
}

impl<S: TopicSink + 'static> FinishingTopicSink<S> {
    pub(crate) fn around(inner: S) -> Self {
        Self { inner: Arc::new(inner), underway: Mutex::default() }
    }

    /// Carries `call` out on the sink, and returns what it returns.
    async fn to_its_end<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        call: impl FnOnce(Arc<S>) -> F,
    ) -> Result<T> {
        let (done, outcome) = oneshot::channel();
        let call = call(self.inner.clone());
        {
            let mut underway = self.underway.lock().unwrap_or_else(PoisonError::into_inner);
            while underway.try_join_next().is_some() {}
            underway.spawn(async move { drop(done.send(call.await)) });
        }
        outcome.await.map_err(|e| Error::internal("a call to a topic ended early").caused_by(e))?
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: TopicSink + 'static> EpochSink for FinishingTopicSink<S> {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        let (flow, table) = (flow.clone(), table.to_owned());
        self.to_its_end(|sink| async move { sink.begin(&flow, attempt, &table).await }).await
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        self.to_its_end(|sink| async move { sink.commit(write).await }).await
    }

    fn isolation(&self) -> Isolation {
        self.inner.isolation()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: TopicSink + 'static> TopicSink for FinishingTopicSink<S> {
    async fn ensure_topic(&self, spec: &TableSpec, output: &TopicOutput) -> Result<()> {
        let (spec, output) = (spec.clone(), output.clone());
        self.to_its_end(|sink| async move { sink.ensure_topic(&spec, &output).await }).await
    }

    async fn drop_topic(&self, table: &str, topic: &str) -> Result<()> {
        let (table, topic) = (table.to_owned(), topic.to_owned());
        self.to_its_end(|sink| async move { sink.drop_topic(&table, &topic).await }).await
    }
}
