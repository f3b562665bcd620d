//! A pipeline that runs: its flows and jobs, its three listeners, the control socket and the watch over the disk, from bind to drained.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use metrics_exporter_prometheus::PrometheusHandle;
use millstream_broker::Server as KafkaServer;
use millstream_core::{Error, Result};
use millstream_gateway::http::{HttpParts, HttpServer, ReferenceRows};
use millstream_gateway::sql::SqlServer;
use millstream_pipeline::graph::Binding;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::ListenSettings;
use crate::control::{Answer, ControlServer, Request, Responder};
use crate::wiring::Opened;
use crate::{disk, requests, upkeep};

/// Where a running pipeline listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// The HTTP API and the status page.
    pub http: SocketAddr,
    /// The Kafka endpoint.
    pub kafka: SocketAddr,
    /// The PostgreSQL endpoint.
    pub sql: SocketAddr,
}

/// A pipeline with its listeners bound; nothing runs yet.
pub struct Service {
    opened: Arc<Opened>,
    addresses: Addresses,
    http: HttpServer,
    kafka: KafkaServer,
    sql: SqlServer,
    control: ControlServer,
}

impl Service {
    /// Binds every listener. [`refuse_taken_ports`] says beforehand what can be said about ports.
    pub async fn bind(opened: Arc<Opened>, name: String, metrics: PrometheusHandle, data_dir: &Path) -> Result<Self> {
        let listen = &opened.config.listen;
        let http = HttpServer::bind(listen.http.0, opened.config.http.clone(), http_parts(&opened, name, metrics)).await?;
        let kafka = KafkaServer::bind(listen.kafka.0, opened.log.clone()).await?;
        let sql = SqlServer::bind(listen.sql.0, opened.config.sql.clone(), opened.engine.session()?, opened.ports.clock.clone()).await?;
        let control = ControlServer::bind(data_dir)?;
        let addresses = Addresses { http: http.local_addr(), kafka: kafka.local_addr(), sql: sql.local_addr() };
        Ok(Self { opened, addresses, http, kafka, sql, control })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Runs until `shutdown`, then drains: requests end, each flow finishes its epoch. A part that fails ends the others in order.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let Self { opened, addresses, http, kafka, sql, control } = self;
        let mut parts = JoinSet::<Result<()>>::new();
        let log = opened.log.clone();
        let watch = disk::watch(
            opened.config.data_dir.clone(),
            opened.config.disk.clone(),
            opened.ports.clock.clone(),
            opened.intake.clone(),
            move |why| log.pause_intake(why.map(str::to_owned)),
            shutdown.clone(),
        );
        parts.spawn(async move {
            watch.await;
            Ok(())
        });
        let upkeep = upkeep::run(
            opened.store.clone(),
            opened.ports.clock.clone(),
            Duration::from_secs(opened.config.store.upkeep_interval_s),
            shutdown.clone(),
        );
        parts.spawn(async move {
            upkeep.await;
            Ok(())
        });
        parts.spawn(http.run(shutdown.clone()));
        parts.spawn(kafka.run(shutdown.clone()));
        parts.spawn(sql.run(shutdown.clone()));
        let responder = Arc::new(Running { opened: opened.clone(), addresses });
        let stop = shutdown.clone();
        parts.spawn(async move {
            control.run(responder, stop).await;
            Ok(())
        });
        let engine = opened.engine.clone();
        let stop = shutdown.clone();
        parts.spawn(async move { engine.run(stop).await });
        let mut outcome = Ok(());
        while let Some(ended) = parts.join_next().await {
            let ended = ended.unwrap_or_else(|e| Err(Error::internal("a part of the service ended early").caused_by(e)));
            if let Err(error) = ended {
                tracing::error!("{error}");
                outcome = outcome.and(Err(error));
                shutdown.cancel();
            }
        }
        outcome
    }
}

/// Answers the control socket of a running pipeline.
struct Running {
    opened: Arc<Opened>,
    addresses: Addresses,
}

#[async_trait]
impl Responder for Running {
    async fn respond(&self, request: Request, answer: &Answer) -> Result<u8> {
        requests::carry_out(&self.opened, Some(self.addresses), request, answer).await
    }
}

/// Names the setting whose port is taken, before any work is done: a taken port is the user's to solve.
pub fn refuse_taken_ports(listen: &ListenSettings) -> Result<()> {
    for (setting, address) in listen.named() {
        if let Err(error) = std::net::TcpListener::bind(address.0) {
            let variable = format!("MILLSTREAM_{}", setting.to_uppercase().replace('.', "__"));
            let why = match error.kind() {
                std::io::ErrorKind::AddrInUse => "is taken".to_owned(),
                _ => format!("can't be listened on ({error})"),
            };
            return Err(Error::invalid(format!("{setting} = {address} {why}: set {setting} or {variable} (port 0 takes a free one)")));
        }
    }
    Ok(())
}

/// `listen` with a free port in place of each one that is taken.
pub fn avoid_taken_ports(mut listen: ListenSettings) -> ListenSettings {
    for address in [&mut listen.http, &mut listen.kafka, &mut listen.sql] {
        if std::net::TcpListener::bind(address.0).is_err() {
            *address = address.with_free_port();
        }
    }
    listen
}

fn http_parts(opened: &Arc<Opened>, name: String, metrics: PrometheusHandle) -> HttpParts {
    let tables = &opened.pipeline.tables;
    let references = tables.iter().filter(|(_, t)| matches!(t.binding, Binding::Reference(_))).map(|(name, _)| {
        let rows: Arc<dyn ReferenceRows> = Arc::new(EngineRows { opened: opened.clone(), table: name.clone() });
        (name.clone(), rows)
    });
    HttpParts {
        pipeline: name,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        tables: tables.values().map(|t| t.spec.as_ref().clone()).collect(),
        event_store: opened.ports.event_store.clone(),
        critical_store: opened.ports.critical.clone(),
        critical_loader: opened.engine.clone(),
        report_store: opened.ports.reports.clone(),
        reference: references.collect(),
        status: opened.status.clone(),
        metrics,
        clock: opened.ports.clock.clone(),
        invalidations: opened.invalidations.clone(),
    }
}

/// A reference table as the engine holds it.
struct EngineRows {
    opened: Arc<Opened>,
    table: String,
}

impl ReferenceRows for EngineRows {
    fn rows(&self) -> Arc<[arrow::array::RecordBatch]> {
        self.opened.engine.reference_rows(&self.table)
    }
}
