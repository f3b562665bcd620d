//! [`TopicHandle`]: a topic as a producer writes it, many records one after the other.
//!
//! By rdkafka each record's topic and its headers' names are copied into texts that end with a zero byte, and the topic is looked for by its
//! name.
#![expect(unsafe_code, reason = "foreign functions, on pointers that their owners outlive")]

use std::ffi::CString;
use std::ptr::NonNull;

use bytes::Bytes;
use millstream_core::ports::NewRecord;
use rdkafka::bindings::{
    RD_KAFKA_MSG_F_COPY, rd_kafka_header_add, rd_kafka_headers_destroy, rd_kafka_headers_new, rd_kafka_headers_t, rd_kafka_last_error,
    rd_kafka_producev, rd_kafka_resp_err_t, rd_kafka_topic_destroy, rd_kafka_topic_new, rd_kafka_topic_t, rd_kafka_vtype_t,
};
use rdkafka::error::{IsError, KafkaError};
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};

/// A topic of a producer whose deliveries carry nothing.
pub(super) struct TopicHandle<C: ProducerContext<DeliveryOpaque = ()> + 'static> {
    topic: NonNull<rd_kafka_topic_t>,
    producer: ThreadedProducer<C>,
}

// SAFETY: librdkafka counts the references to its topics, and lets any thread produce.
unsafe impl<C: ProducerContext<DeliveryOpaque = ()> + 'static> Send for TopicHandle<C> {}

impl<C: ProducerContext<DeliveryOpaque = ()> + 'static> Drop for TopicHandle<C> {
    fn drop(&mut self) {
        // SAFETY: the pointer was made by `new`, and the client still lives: `producer` is dropped after this.
        unsafe { rd_kafka_topic_destroy(self.topic.as_ptr()) }
    }
}

fn failed(code: rd_kafka_resp_err_t) -> KafkaError {
    KafkaError::MessageProduction(code.into())
}

/// A length as librdkafka takes it. No piece of memory is longer.
fn length(bytes: &[u8]) -> isize {
    isize::try_from(bytes.len()).unwrap_or(isize::MAX)
}

fn start(bytes: Option<&Bytes>) -> *const u8 {
    bytes.map_or(std::ptr::null(), |bytes| bytes.as_ptr())
}

impl<C: ProducerContext<DeliveryOpaque = ()> + 'static> TopicHandle<C> {
    /// `topic` as `producer` writes it. The error is librdkafka's: there can be no topic of that name.
    pub(super) fn new(producer: &ThreadedProducer<C>, topic: &str) -> Result<Self, KafkaError> {
        let name = CString::new(topic)?;
        // SAFETY: the client lives as long as `producer`, the name until the call returns; without a configuration the client's own counts.
        let made = unsafe { rd_kafka_topic_new(producer.client().native_ptr(), name.as_ptr(), std::ptr::null_mut()) };
        // SAFETY: the call only reads the calling thread's last error.
        let topic = NonNull::new(made).ok_or_else(|| failed(unsafe { rd_kafka_last_error() }))?;
        Ok(Self { topic, producer: producer.clone() })
    }

    /// Puts a copy of `record` into the producer's queue, for `partition`.
    pub(super) fn send(&self, partition: i32, record: &NewRecord) -> Result<(), KafkaError> {
        let headers = if record.headers.is_empty() { std::ptr::null_mut() } else { native_headers(&record.headers)? };
        let timestamp_ms = record.timestamp.map_or(0, |at| at.micros().div_euclid(1_000));
        // SAFETY: the client and the topic live as long as `self`. Each value follows its tag with the type that the tag stands for. Key and
        // value are copied; the list of headers is the client's, unless this fails.
        let answer = unsafe {
            rd_kafka_producev(
                self.producer.client().native_ptr(),
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
                self.topic.as_ptr(),
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
                partition,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS,
                RD_KAFKA_MSG_F_COPY,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
                start(record.value.as_ref()),
                record.value.as_ref().map_or(0, Bytes::len),
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY,
                start(record.key.as_ref()),
                record.key.as_ref().map_or(0, Bytes::len),
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP,
                timestamp_ms,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS,
                headers,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
            )
        };
        if !answer.is_error() {
            return Ok(());
        }
        if !headers.is_null() {
            // SAFETY: the client did not take the list, and nobody else knows it.
            unsafe { rd_kafka_headers_destroy(headers) }
        }
        Err(failed(answer))
    }
}

/// Headers as a list of librdkafka's, which is the caller's.
fn native_headers(headers: &[(String, Option<Bytes>)]) -> Result<*mut rd_kafka_headers_t, KafkaError> {
    // SAFETY: it takes any number.
    let list = unsafe { rd_kafka_headers_new(headers.len()) };
    for (name, value) in headers {
        let size = value.as_ref().map_or(0, |value| length(value));
        // SAFETY: the list was made above; name and value have the lengths that are passed, and are copied.
        let answer =
            unsafe { rd_kafka_header_add(list, name.as_ptr().cast(), length(name.as_bytes()), start(value.as_ref()).cast(), size) };
        if answer.is_error() {
            // SAFETY: nobody else knows the list.
            unsafe { rd_kafka_headers_destroy(list) }
            return Err(failed(answer));
        }
    }
    Ok(list)
}
