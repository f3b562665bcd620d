//! `reset`: the content of a table is forgotten, and what is fed from it, so that the next run builds it anew.

use millstream_core::ports::SystemProperty;
use millstream_core::{Error, Result};
use millstream_pipeline::graph::{Binding, Pipeline};

use crate::engine::{Engine, Ports};
use crate::identity;

impl Engine {
    /// Removes the data of the table or report `name`, so that the next run builds it anew. Nothing may run on the ports meanwhile.
    pub async fn reset(pipeline: &Pipeline, ports: &Ports, name: &str) -> Result<()> {
        let table = pipeline.tables.get(name).ok_or_else(|| Error::not_found(format!("the pipeline has no table {name}")))?;
        match &table.binding {
            Binding::EventStore => ports.event_store.drop_table(name).await?,
            Binding::Critical(_) => {
                // First, so that a verification never takes for evicted what is written anew and lost.
                ports.system.set_property(SystemProperty::Evicted(name), "").await?;
                ports.critical.drop_table(name).await?;
            }
            Binding::Report => ports.reports.drop_report(name).await?,
            Binding::Lake => ports.lake(name)?.drop_table(name).await?,
            Binding::Topic(topic) if topic.output.is_some() => ports.topics(name)?.drop_topic(name, &topic.name).await?,
            Binding::Topic(_) | Binding::ExistingTable | Binding::Reference(_) => {
                return Err(Error::invalid(format!(
                    "{name} ({}) stays as it is: only what the pipeline writes can be rebuilt",
                    table.spec.kind.as_str()
                )));
            }
        }
        for flow in pipeline.flows.iter().filter(|f| f.target == name) {
            // The checkpoints last: a flow that begins anew because they are gone finds nothing else of before either.
            ports.system.forget(flow.id.as_str()).await?;
            ports.checkpoints.forget(&flow.id).await?;
        }
        // A flow on this table's feed stands at a place in a feed that is gone: what it has written is rebuilt too.
        for flow in pipeline.flows.iter().filter(|f| f.reads(name) && f.target != name) {
            Box::pin(Self::reset(pipeline, ports, &flow.target)).await?;
        }
        identity::accept(ports.system.as_ref(), pipeline, name).await
    }
}
