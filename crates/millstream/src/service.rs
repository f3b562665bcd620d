//! A pipeline that runs: its flows and jobs, its three listeners, the control socket and the watch over the disk, from bind to drained.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millstream_broker::Server as KafkaServer;
use millstream_core::ports::{Clock, SystemClock};
use millstream_core::status::StatusSource;
use millstream_core::{Error, Result};
use millstream_gateway::http::{HttpAbout, HttpDoor, HttpParts, HttpServer, ReferenceRows};
use millstream_gateway::sql::SqlServer;
use millstream_pipeline::graph::Binding;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::layers::variable_of;
use crate::config::{Config, ListenSettings};
use crate::control::{Answer, ControlServer, Request, Responder};
use crate::disk::Intake;
use crate::status::ProcessStatus;
use crate::wiring::{Engines, Opened, Patience};
use crate::{disk, requests, runtime, upkeep};

/// Where a running pipeline listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// The HTTP API and the status page.
    pub http: SocketAddr,
    /// The built-in Kafka endpoint; none where topics are elsewhere.
    pub kafka: Option<SocketAddr>,
    /// The PostgreSQL endpoint.
    pub sql: SocketAddr,
}

/// The front of a process whose pipeline is not open yet: HTTP is served from the first moment, and says what is waited for.
pub struct Front {
    /// The systems behind the ports.
    pub engines: Arc<Engines>,
    intake: Arc<Intake>,
    status: Arc<ProcessStatus>,
    about: HttpAbout,
    door: HttpDoor,
    address: SocketAddr,
    parts: JoinSet<Result<()>>,
}

impl Front {
    /// Binds the HTTP listener and serves it until `shutdown`. `name` is the pipeline's. [`refuse_taken_ports`] says beforehand what can be
    /// said about ports.
    pub async fn open(config: &Config, name: String, shutdown: &CancellationToken) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let engines = Engines::new(Patience::Wait, clock.clone());
        let intake = Arc::new(Intake::default());
        let status = Arc::new(ProcessStatus::new(engines.clone(), intake.clone()));
        let about = HttpAbout {
            pipeline: name,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            status: status.clone(),
            metrics: runtime::record_metrics()?,
            clock,
        };
        let http = HttpServer::bind(config.listen.http.0, config.http.clone(), about.clone()).await?;
        let (door, address) = (http.door(), http.local_addr());
        tracing::info!(http = %format!("http://{address}/"), "opening");
        let mut parts = JoinSet::new();
        parts.spawn(http.run(shutdown.clone()));
        let (watched, stop) = (engines.clone(), shutdown.clone());
        parts.spawn(async move {
            watched.watch(stop).await;
            Ok(())
        });
        Ok(Self { engines, intake, status, about, door, address, parts })
    }
}

/// A pipeline with its listeners bound; nothing runs yet.
pub struct Service {
    opened: Arc<Opened>,
    front: Front,
    addresses: Addresses,
    kafka: Option<KafkaServer>,
    sql: SqlServer,
    control: ControlServer,
}

impl Service {
    /// Binds every other listener, and opens the API.
    pub async fn bind(front: Front, opened: Arc<Opened>, data_dir: &Path) -> Result<Self> {
        let listen = &opened.config.listen;
        let kafka = match &opened.endpoint {
            Some(log) => Some(KafkaServer::bind(listen.kafka.0, log.clone()).await?),
            None => None,
        };
        let sql = SqlServer::bind(listen.sql.0, opened.config.sql.clone(), opened.engine.session()?, opened.ports.clock.clone()).await?;
        let control = ControlServer::bind(data_dir)?;
        front.status.is_open(opened.engine.clone());
        front.door.open(http_parts(&opened, front.about.clone()));
        let addresses = Addresses { http: front.address, kafka: kafka.as_ref().map(KafkaServer::local_addr), sql: sql.local_addr() };
        Ok(Self { opened, front, addresses, kafka, sql, control })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// How the process is doing.
    pub fn status(&self) -> Arc<dyn StatusSource> {
        self.front.status.clone()
    }

    /// Runs until `shutdown`, then drains: requests end, each flow finishes its epoch. A part that fails ends the others in order.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let Self { opened, front: Front { intake, status, mut parts, .. }, addresses, kafka, sql, control } = self;
        if let (Some(log), Some(kafka)) = (opened.endpoint.clone(), kafka) {
            let watch = disk::watch(
                opened.config.data_dir.clone(),
                opened.config.disk.clone(),
                opened.ports.clock.clone(),
                intake,
                move |why| log.pause_intake(why.map(str::to_owned)),
                shutdown.clone(),
            );
            parts.spawn(async move {
                watch.await;
                Ok(())
            });
            parts.spawn(kafka.run(shutdown.clone()));
        }
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
        parts.spawn(sql.run(shutdown.clone()));
        let responder = Arc::new(Running { opened: opened.clone(), status, addresses });
        let stop = shutdown.clone();
        parts.spawn(async move {
            control.run(responder, stop).await;
            Ok(())
        });
        let (lake, stop) = (opened.lake.clone(), shutdown.clone());
        parts.spawn(async move {
            lake.run(stop.cancelled_owned()).await;
            Ok(())
        });
        let (engine, stop) = (opened.engine.clone(), shutdown.clone());
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
    status: Arc<ProcessStatus>,
    addresses: Addresses,
}

#[async_trait]
impl Responder for Running {
    async fn respond(&self, request: Request, answer: &Answer) -> Result<u8> {
        requests::carry_out(&self.opened, Some((self.addresses, self.status.as_ref())), request, answer).await
    }
}

/// Names the setting whose port is taken, before any work is done: a taken port is the user's to solve.
pub fn refuse_taken_ports(config: &Config) -> Result<()> {
    for (setting, address) in config.listeners() {
        if let Err(error) = std::net::TcpListener::bind(address.0) {
            let variable = variable_of(setting);
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

fn http_parts(opened: &Arc<Opened>, about: HttpAbout) -> HttpParts {
    let tables = &opened.pipeline.tables;
    let references = tables.iter().filter(|(_, t)| matches!(t.binding, Binding::Reference(_))).map(|(name, _)| {
        let rows: Arc<dyn ReferenceRows> = Arc::new(EngineRows { opened: opened.clone(), table: name.clone() });
        (name.clone(), rows)
    });
    HttpParts {
        about,
        tables: tables.values().map(|t| t.spec.as_ref().clone()).collect(),
        event_store: opened.ports.event_store.clone(),
        critical_store: opened.ports.critical.clone(),
        critical_loader: opened.engine.clone(),
        report_store: opened.ports.reports.clone(),
        reference: references.collect(),
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
