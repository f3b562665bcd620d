//! A Kafka client of a few lines, and an endpoint to talk to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchResponse, PartitionData};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{BrokerId, InitProducerIdRequest, RequestHeader, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes, encode_request_header_into_buffer};
use kafka_protocol::records::{Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use millstream_broker::{BrokerSettings, Log, Server};
use millstream_core::ports::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// An endpoint that serves until it is dropped.
pub struct Endpoint {
    pub address: SocketAddr,
    pub log: Arc<Log>,
    pub shutdown: CancellationToken,
    pub serving: JoinSet<millstream_core::Result<()>>,
}

impl Endpoint {
    pub async fn start(folder: &Path) -> Self {
        Self::start_with(folder, BrokerSettings::default(), Arc::new(SystemClock)).await
    }

    pub async fn start_with(folder: &Path, settings: BrokerSettings, clock: Arc<dyn Clock>) -> Self {
        let log = Log::open(folder, settings, clock).await.unwrap();
        let server = Server::bind(([127, 0, 0, 1], 0).into(), log.clone()).await.unwrap();
        let (address, shutdown) = (server.local_addr(), CancellationToken::new());
        let mut serving = JoinSet::new();
        serving.spawn(server.run(shutdown.clone()));
        Self { address, log, shutdown, serving }
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.address).await
    }
}

pub struct Client {
    stream: TcpStream,
    correlation: i32,
}

pub fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

pub fn topic(s: &str) -> TopicName {
    TopicName(text(s))
}

/// What an idempotent producer puts on a batch: id, epoch, sequence.
pub type Producer = (i64, i16, i32);

pub fn batch(values: &[&str], producer: Producer, compression: Compression) -> Bytes {
    let (producer_id, producer_epoch, sequence) = producer;
    let record = |(i, v): (usize, &&str)| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id,
        producer_epoch,
        timestamp_type: TimestampType::Creation,
        offset: i as i64,
        sequence: sequence + i as i32,
        timestamp: 1_700_000_000_000 + i as i64,
        key: None,
        value: Some(Bytes::copy_from_slice(v.as_bytes())),
        headers: IndexMap::new(),
    };
    let records: Vec<Record> = values.iter().enumerate().map(record).collect();
    let mut out = BytesMut::new();
    RecordBatchEncoder::encode(&mut out, &records, &RecordEncodeOptions { version: 2, compression }).unwrap();
    out.freeze()
}

pub fn plain(values: &[&str]) -> Bytes {
    batch(values, (-1, -1, -1), Compression::None)
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, correlation: 0 }
    }

    pub async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.correlation += 1;
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(text("it")));
        encode_request_header_into_buffer(&mut frame, &header).unwrap();
        request.encode(&mut frame, version).unwrap();
        let len = frame.len() as u32 - 4;
        frame[..4].copy_from_slice(&len.to_be_bytes());
        self.stream.write_all(&frame).await.unwrap();
        self.correlation
    }

    /// The next response, whatever its length; `None` when the endpoint has closed the connection.
    pub async fn receive_frame(&mut self) -> Option<Bytes> {
        let len = self.stream.read_i32().await.ok()?;
        let mut frame = vec![0; len as usize];
        self.stream.read_exact(&mut frame).await.ok()?;
        Some(Bytes::from(frame))
    }

    pub async fn receive<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let mut frame = self.receive_frame().await.expect("the endpoint closed the connection");
        let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version)).unwrap();
        let response = R::Response::decode(&mut frame, version).unwrap();
        assert!(frame.is_empty());
        (header.correlation_id, response)
    }

    pub async fn call<R: Request>(&mut self, version: i16, request: R) -> R::Response {
        let sent = self.send(version, &request).await;
        let (answered, response) = self.receive::<R>(version).await;
        assert_eq!(sent, answered);
        response
    }

    pub async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub async fn create(&mut self, name: &str, partitions: i32) {
        let wanted = CreatableTopic::default().with_name(topic(name)).with_num_partitions(partitions).with_replication_factor(1);
        let response = self.call(5, CreateTopicsRequest::default().with_topics(vec![wanted])).await;
        assert_eq!(response.topics[0].error_code, 0, "{response:?}");
    }

    /// A new idempotent producer's id.
    pub async fn producer_id(&mut self) -> i64 {
        let response = self.call(4, InitProducerIdRequest::default().with_transactional_id(None)).await;
        assert_eq!(response.error_code, 0);
        response.producer_id.0
    }

    pub async fn produce(&mut self, name: &str, partition: i32, records: Bytes) -> PartitionProduceResponse {
        self.call(9, produce_request(name, partition, records, -1)).await.responses[0].partition_responses[0].clone()
    }

    pub async fn fetch(&mut self, name: &str, partition: i32, from: i64) -> PartitionData {
        self.call(11, fetch_request(name, &[(partition, from)], 0, 0, 1 << 20)).await.responses[0].partitions[0].clone()
    }
}

pub fn produce_request(name: &str, partition: i32, records: Bytes, acks: i16) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let topic_data = TopicProduceData::default().with_name(topic(name)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(1000).with_topic_data(vec![topic_data])
}

/// Partitions with the offset to begin at; waiting for `min_bytes`, at most `wait_ms`.
pub fn fetch_request(name: &str, partitions: &[(i32, i64)], min_bytes: i32, wait_ms: i32, max_bytes: i32) -> FetchRequest {
    let ask = |(partition, from): &(i32, i64)| {
        FetchPartition::default().with_partition(*partition).with_fetch_offset(*from).with_partition_max_bytes(max_bytes)
    };
    let asked = FetchTopic::default().with_topic(topic(name)).with_partitions(partitions.iter().map(ask).collect());
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_min_bytes(min_bytes)
        .with_max_wait_ms(wait_ms)
        .with_max_bytes(max_bytes)
        .with_topics(vec![asked])
}

/// Offsets and values of what a partition's answer holds.
pub fn values(data: &PartitionData) -> Vec<(i64, String)> {
    let mut bytes = data.records.clone().unwrap();
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let set = RecordBatchDecoder::decode(&mut bytes).unwrap();
        out.extend(set.records.into_iter().map(|r| (r.offset, String::from_utf8(r.value.unwrap().to_vec()).unwrap())));
    }
    out
}

pub fn all_values(response: &FetchResponse) -> Vec<(i64, String)> {
    response.responses.iter().flat_map(|t| &t.partitions).flat_map(values).collect()
}
