//! One client's connection: frames in, answers out, in order.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::OwnedSemaphorePermit;

use super::{Endpoint, Peer};
use crate::wire::{self, WireError};

/// A request that has begun must be here, and an answer must be taken, within this time.
const TRANSFER_MAX: Duration = Duration::from_secs(60);
const READ_BUFFER_LEN: usize = 64 << 10;

/// Why a connection ended early.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the client was too slow: it had {seconds} s for {0}", seconds = TRANSFER_MAX.as_secs())]
    Slow(&'static str),
    #[error("a produce request that asks for no answer (acks=0) failed, and closing is the only way to tell")]
    Unanswerable,
}

/// Serves `stream` until the client closes it, sends what is no request, or the endpoint shuts down.
pub async fn serve(endpoint: Arc<Endpoint>, stream: TcpStream, client: SocketAddr) {
    // Answers are whole when they are written; waiting for more only adds latency.
    let _ = stream.set_nodelay(true);
    let local = stream.local_addr().unwrap_or(endpoint.address);
    let peer = Peer { client, advertised: advertised(&endpoint, local.ip()), client_id: String::new() };
    let (read, write) = stream.into_split();
    let mut connection = Connection { endpoint, peer, read: BufReader::with_capacity(READ_BUFFER_LEN, read), write };
    match connection.run().await {
        Ok(()) => {}
        Err(Ended::Io(error)) => tracing::debug!(%client, %error, "a kafka connection broke"),
        Err(ended) => tracing::warn!(%client, client_id = connection.peer.client_id, error = %ended, "closed a kafka connection"),
    }
}

/// The configured host, else the address by which this client reached us: it works for that client, also behind several addresses.
fn advertised(endpoint: &Endpoint, local: IpAddr) -> (String, u16) {
    let host = endpoint.log.settings().advertised_host.clone();
    (host.unwrap_or_else(|| local.to_canonical().to_string()), endpoint.address.port())
}

struct Connection {
    endpoint: Arc<Endpoint>,
    peer: Peer,
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Connection {
    async fn run(&mut self) -> Result<(), Ended> {
        while let Some((frame, permit)) = self.next_frame().await? {
            metrics::counter!("millstream_broker_bytes_received_total").increment(frame.len() as u64);
            let request = wire::decode(frame)?;
            self.peer.client_id = request.client_id;
            let api = request.api;
            metrics::counter!("millstream_broker_requests_total", "request" => api_name(api)).increment(1);
            let answer = match request.body {
                Some(body) => self.answer(body, request.version).await?,
                None => Some(self.endpoint.api_versions(true)),
            };
            drop(permit);
            if let Some(answer) = answer {
                let bytes = wire::encode(api, request.version, request.correlation_id, &answer)?;
                self.send(&bytes).await?;
            }
        }
        Ok(())
    }

    /// The next request's frame, with its share of the memory for requests; `None` when there is no next one.
    async fn next_frame(&mut self) -> Result<Option<(Bytes, OwnedSemaphorePermit)>, Ended> {
        let announced = tokio::select! {
            () = self.endpoint.shutdown.cancelled() => return Ok(None),
            announced = self.read.read_i32() => match announced {
                Ok(len) => len,
                Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(e) => return Err(e.into()),
            },
        };
        let len = wire::frame_len(announced, self.endpoint.log.settings().request_bytes_max)?;
        let permits = self.endpoint.request_bytes.clone().acquire_many_owned(len as u32);
        let permit = tokio::select! {
            () = self.endpoint.shutdown.cancelled() => return Ok(None),
            permit = permits => match permit {
                Ok(permit) => permit,
                Err(_) => return Ok(None),
            },
        };
        let clock = self.endpoint.log.clock().clone();
        let mut frame = BytesMut::with_capacity(len.min(1 << 20));
        let receive = async {
            let mut body = (&mut self.read).take(len as u64);
            while frame.len() < len {
                if body.read_buf(&mut frame).await? == 0 {
                    return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
                }
            }
            Ok(())
        };
        tokio::select! {
            received = receive => received?,
            () = clock.sleep(TRANSFER_MAX) => return Err(Ended::Slow("sending a request")),
        }
        Ok(Some((frame.freeze(), permit)))
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        metrics::counter!("millstream_broker_bytes_sent_total").increment(bytes.len() as u64);
        let clock = self.endpoint.log.clock().clone();
        tokio::select! {
            sent = self.write.write_all(bytes) => Ok(sent?),
            () = clock.sleep(TRANSFER_MAX) => Err(Ended::Slow("taking an answer")),
        }
    }

    async fn answer(&self, body: RequestKind, version: i16) -> Result<Option<ResponseKind>, Ended> {
        let (endpoint, peer) = (&self.endpoint, &self.peer);
        Ok(Some(match body {
            RequestKind::Produce(r) => {
                let acks = r.acks;
                let (response, failed) = endpoint.produce(r).await;
                match (acks, failed) {
                    (0, true) => return Err(Ended::Unanswerable),
                    (0, false) => return Ok(None),
                    _ => response.into(),
                }
            }
            RequestKind::Fetch(r) => endpoint.fetch(r).await.into(),
            RequestKind::ListOffsets(r) => endpoint.list_offsets(r, version).await.into(),
            RequestKind::OffsetForLeaderEpoch(r) => endpoint.offset_for_leader_epoch(&r).into(),
            RequestKind::ApiVersions(_) => endpoint.api_versions(false),
            RequestKind::Metadata(r) => endpoint.metadata(r, version, peer).await.into(),
            RequestKind::DescribeCluster(_) => endpoint.describe_cluster(peer).into(),
            RequestKind::DescribeConfigs(r) => endpoint.describe_configs(r).into(),
            RequestKind::InitProducerId(r) => endpoint.init_producer_id(&r).await.into(),
            RequestKind::FindCoordinator(r) => endpoint.find_coordinator(r, version, peer).into(),
            RequestKind::CreateTopics(r) => endpoint.create_topics(r).await.into(),
            RequestKind::DeleteTopics(r) => endpoint.delete_topics(r).await.into(),
            RequestKind::CreatePartitions(r) => endpoint.create_partitions(r).into(),
            RequestKind::JoinGroup(r) => endpoint.join_group(r, version, peer).await.into(),
            RequestKind::SyncGroup(r) => endpoint.sync_group(r).await.into(),
            RequestKind::Heartbeat(r) => endpoint.heartbeat(r).into(),
            RequestKind::LeaveGroup(r) => endpoint.leave_group(r, version).into(),
            RequestKind::OffsetCommit(r) => endpoint.offset_commit(r).await.into(),
            RequestKind::OffsetFetch(r) => endpoint.offset_fetch(r, version).into(),
            RequestKind::ListGroups(r) => endpoint.list_groups(&r).into(),
            RequestKind::DescribeGroups(r) => endpoint.describe_groups(r).into(),
            RequestKind::DeleteGroups(r) => endpoint.delete_groups(r).await.into(),
            other => {
                let what = format!("{other:?}");
                let what = what.split_once('(').map_or(what.as_str(), |(name, _)| name).to_owned();
                return Err(WireError::Malformed { what, why: "it is in the table of requests, but not carried out".to_owned() }.into());
            }
        }))
    }
}

fn api_name(api: ApiKey) -> &'static str {
    match api {
        ApiKey::Produce => "produce",
        ApiKey::Fetch => "fetch",
        ApiKey::ListOffsets => "list_offsets",
        ApiKey::Metadata => "metadata",
        ApiKey::OffsetCommit => "offset_commit",
        ApiKey::OffsetFetch => "offset_fetch",
        ApiKey::JoinGroup => "join_group",
        ApiKey::SyncGroup => "sync_group",
        ApiKey::Heartbeat => "heartbeat",
        _ => "other",
    }
}
