//! DataFusion's view of the ports: every table of the pipeline as a `TableProvider`, in sessions for people's queries
//! ([`session`]) and in the plans of batch jobs ([`job_plan`]). It reads, and never writes; it knows no SQL text.
//!
//! **One moment.** All event-store tables of one query are read from one [`StoreSnapshot`], and all its reports from one
//! [`ReportSnapshot`](millstream_core::ports::ReportSnapshot), taken when the query begins to run. A topic is read up to where it ended when the
//! query was planned, files from one manifest, reference data from one generation; two of these in one query may come from different moments.
//!
//! **Memory.** Scans stream from their port, batch by batch; only `system.*` tables, which are small, are read whole.

#[cfg(test)]
pub(crate) mod fixture;
mod moment;
mod port_table;
mod stored;
mod system;
mod topic;

use std::sync::{Arc, Weak};

use datafusion::catalog::MemorySchemaProvider;
use datafusion::catalog::SchemaProvider;
use datafusion::common::TableReference;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{LogicalPlan, TableScan};
use datafusion::prelude::SessionContext;
use millstream_core::ports::StoreSnapshot;
use millstream_core::status::StatusSource;
use millstream_core::{Error, Result};
use millstream_pipeline::graph::{Binding, Pipeline, Table};
use millstream_pipeline::session::postgres_session;

use crate::engine::Ports;
use crate::reference::ReferenceTables;

use moment::{Moment, OneMoment};
use port_table::{PortTable, Readable};
use stored::{CriticalTable, LakeTable, ReferenceTable, ReportTable, StoreTable};
use topic::TopicTable;

/// The schema of Millstream's own tables.
pub const SYSTEM_SCHEMA: &str = "system";

/// A session over every table of `pipeline` (in schema `public`) and over Millstream's own (in schema `system`), for people's queries:
/// PostgreSQL's dialect. It can be cloned; its queries may run at the same time.
///
/// `status` answers `system.flows` and `system.jobs`; it is weak, for who answers usually owns the session.
pub fn session(
    pipeline: &Pipeline,
    ports: &Ports,
    references: Arc<ReferenceTables>,
    status: Weak<dyn StatusSource>,
) -> Result<SessionContext> {
    let context = postgres_session();
    context.add_analyzer_rule(Arc::new(OneMoment::new(ports)));
    let unpinned = Arc::new(Moment::new(ports));
    for table in pipeline.tables.values() {
        let provider = PortTable::new(readable(table, ports, &references, &unpinned)?);
        context.register_table(quoted("public", &table.spec.name), Arc::new(provider)).map_err(from_datafusion)?;
    }
    let own = MemorySchemaProvider::new();
    for (name, table) in system::tables(pipeline, ports, &references, &status) {
        own.register_table(name.to_owned(), Arc::new(PortTable::new(table))).map_err(from_datafusion)?;
    }
    let state = context.state();
    let name = &state.config_options().catalog.default_catalog;
    let catalog = context.catalog(name).ok_or_else(|| Error::internal(format!("the session has no catalog {name}")))?;
    catalog.register_schema(SYSTEM_SCHEMA, Arc::new(own)).map_err(from_datafusion)?;
    Ok(context)
}

/// `plan` (of a checked job of `pipeline`) with its tables' sources replaced by providers that read: event-store tables from
/// `snapshot`, reports from one of theirs, all others from their ports.
pub fn job_plan(
    plan: &LogicalPlan,
    pipeline: &Pipeline,
    ports: &Ports,
    references: &Arc<ReferenceTables>,
    snapshot: Arc<dyn StoreSnapshot>,
) -> Result<LogicalPlan> {
    let moment = Arc::new(Moment::with_events(ports, snapshot));
    let replaced = plan.clone().transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = node else { return Ok(Transformed::no(node)) };
        let name = scan.table_name.table();
        let table =
            pipeline.tables.get(name).ok_or_else(|| external(Error::internal(format!("the plan reads {name}, which is no table"))))?;
        let provider = PortTable::new(readable(table, ports, references, &moment).map_err(external)?);
        let source = provider_as_source(Arc::new(provider));
        Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { source, ..scan })))
    });
    Ok(replaced.map_err(from_datafusion)?.data)
}

/// How `table` is read.
fn readable(table: &Table, ports: &Ports, references: &Arc<ReferenceTables>, moment: &Arc<Moment>) -> Result<Arc<dyn Readable>> {
    let spec = table.spec.clone();
    Ok(match &table.binding {
        Binding::Topic(topic) => Arc::new(TopicTable::new(spec, topic.clone(), ports.log.clone(), ports.schemas.clone())?),
        Binding::EventStore | Binding::ExistingTable => Arc::new(StoreTable::new(spec, moment.clone())),
        Binding::Critical(_) => Arc::new(CriticalTable::new(spec, ports.critical.clone())),
        Binding::Reference(_) => Arc::new(ReferenceTable::new(spec, references.clone())),
        Binding::Report => Arc::new(ReportTable::new(spec, moment.clone())),
        Binding::Lake => {
            let lake = ports.lake(&spec.name)?.clone();
            Arc::new(LakeTable::new(spec, lake))
        }
    })
}

/// The table's name as it is, whatever its letters.
fn quoted(schema: &str, table: &str) -> TableReference {
    TableReference::partial(schema, table)
}

/// An error of a port on its way through DataFusion.
pub(crate) fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// An error of a query: the port's own where one caused it, else what DataFusion says of the query.
pub(crate) fn from_datafusion(error: DataFusionError) -> Error {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(own) => *own,
            Err(other) => Error::internal("the query failed").caused_by(other),
        },
        DataFusionError::Context(what, inner) => from_datafusion(*inner).context(what),
        DataFusionError::Diagnostic(_, inner) => from_datafusion(*inner),
        DataFusionError::Shared(inner) => match Arc::try_unwrap(inner) {
            Ok(inner) => from_datafusion(inner),
            Err(shared) => classified(&shared).caused_by(shared.to_string()),
        },
        other => classified(&other).caused_by(other),
    }
}

fn classified(error: &DataFusionError) -> Error {
    match error {
        DataFusionError::External(inner) => match inner.downcast_ref::<Error>() {
            Some(own) => Error::new(own.kind(), "the query failed"),
            None => Error::internal("the query failed"),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => classified(inner),
        DataFusionError::Shared(inner) => classified(inner),
        DataFusionError::ResourcesExhausted(_) => Error::exhausted("the query needs more memory than it may have"),
        DataFusionError::NotImplemented(_) => Error::unsupported("the query asks for what is not there"),
        DataFusionError::Plan(_) | DataFusionError::SQL(..) | DataFusionError::SchemaError(..) => Error::invalid("the query is wrong"),
        DataFusionError::ArrowError(..) | DataFusionError::Execution(_) => Error::invalid("the query could not be computed"),
        _ => Error::internal("the query failed"),
    }
}

#[cfg(test)]
mod tests;
