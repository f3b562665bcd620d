//! Serves a folder as a Kafka endpoint: `endpoint FOLDER [ADDRESS] [SETTINGS AS JSON]`.
//!
//! Prints the address that it is bound to on the first line of its output; ends with Ctrl-C or SIGTERM.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use millstream_broker::{BrokerSettings, Log, Server};
use millstream_core::ports::SystemClock;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("usage: endpoint FOLDER [ADDRESS] [SETTINGS AS JSON]")?;
    let address: SocketAddr = args.next().unwrap_or_else(|| "127.0.0.1:9092".to_owned()).parse()?;
    let settings: BrokerSettings = args.next().map_or_else(|| Ok(BrokerSettings::default()), |json| serde_json::from_str(&json))?;

    let log = Log::open(folder, settings, Arc::new(SystemClock)).await?;
    let server = Server::bind(address, log).await?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", server.local_addr())?;
    out.flush()?;

    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let serving = server.run(shutdown.clone());
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return Ok(ended?),
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    shutdown.cancel();
    Ok(serving.await?)
}
