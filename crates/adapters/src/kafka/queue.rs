//! [`FetchQueue`]: what librdkafka fetched of one partition, handed out many records a call.
//!
//! rdkafka hands out one record a call; each is then an event of its own, with several looks at the clock and an allocation, which together
//! took as long as everything else that reading a record takes in the caller's thread.
#![expect(unsafe_code, reason = "foreign functions, on pointers that their owners outlive, and one callback that is used within its call")]

use std::ffi::{CStr, CString, c_void};
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_consume_callback_queue, rd_kafka_header_get_all, rd_kafka_message_headers, rd_kafka_message_t, rd_kafka_message_timestamp,
    rd_kafka_queue_destroy, rd_kafka_queue_get_partition, rd_kafka_queue_t, rd_kafka_resp_err_t, rd_kafka_t, rd_kafka_timestamp_type_t,
    rd_kafka_yield,
};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{IsError, KafkaError};

/// The queue of one partition of a consumer.
pub(super) struct FetchQueue<C: ConsumerContext> {
    queue: NonNull<rd_kafka_queue_t>,
    consumer: Arc<BaseConsumer<C>>,
}

// SAFETY: librdkafka locks its queues itself, and lets any thread call.
unsafe impl<C: ConsumerContext + Send + Sync> Send for FetchQueue<C> {}

impl<C: ConsumerContext> Drop for FetchQueue<C> {
    fn drop(&mut self) {
        // SAFETY: the pointer was made by `of`, and the client still lives: `consumer` is dropped after this.
        unsafe { rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// What came out of a queue.
pub(super) enum Fetched<'a> {
    Message(FetchedMessage<'a>),
    /// The end of the partition, as a fetch found it.
    End,
    Failed(KafkaError),
}

/// A header as it stands in a message: its name is whatever bytes the producer sent. rdkafka's own way of reading headers panics where a name
/// is not UTF-8.
pub(super) struct RawHeader<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: Option<&'a [u8]>,
}

/// A record in librdkafka's memory.
pub(super) struct FetchedMessage<'a> {
    message: NonNull<rd_kafka_message_t>,
    lifetime: PhantomData<&'a rd_kafka_message_t>,
}

impl<C: ConsumerContext> FetchQueue<C> {
    /// The queue of a partition, which was split off from its consumer's. `None`: there can be no topic of that name.
    pub(super) fn of(consumer: &Arc<BaseConsumer<C>>, topic: &str, partition: i32) -> Option<Self> {
        let topic = CString::new(topic).ok()?;
        // SAFETY: the client lives as long as `consumer`, and the name until the call returns.
        let queue = unsafe { rd_kafka_queue_get_partition(consumer.client().native_ptr(), topic.as_ptr(), partition) };
        Some(Self { queue: NonNull::new(queue)?, consumer: consumer.clone() })
    }

    /// Waits until something is there, at most for `timeout`, and hands what is there to `take`, in order, until that breaks: what comes
    /// behind stays in the queue. Returns whether anything was there.
    pub(super) fn hand_out(&self, timeout: Duration, take: &mut dyn FnMut(Fetched<'_>) -> ControlFlow<()>) -> bool {
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let mut taker = Taker { take, client: self.consumer.client().native_ptr() };
        // SAFETY: the queue lives as long as `self`; the callback is called with `taker` until the call returns, and in this thread alone.
        let count =
            unsafe { rd_kafka_consume_callback_queue(self.queue.as_ptr(), timeout_ms, Some(hand_to_taker), (&raw mut taker).cast()) };
        count > 0
    }
}

/// Whom a call of [`FetchQueue::hand_out`] hands records to.
struct Taker<'t> {
    take: &'t mut dyn FnMut(Fetched<'_>) -> ControlFlow<()>,
    client: *mut rd_kafka_t,
}

/// What librdkafka calls for each message.
unsafe extern "C" fn hand_to_taker(message: *mut rd_kafka_message_t, taker: *mut c_void) {
    // SAFETY: `hand_out` gave its taker, and nobody else has it while its call lasts.
    let taker = unsafe { &mut *taker.cast::<Taker<'_>>() };
    let Some(message) = NonNull::new(message) else { return };
    // SAFETY: librdkafka destroys the message when this returns, not before.
    let error = unsafe { message.as_ref() }.err;
    let fetched = match error {
        rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => Fetched::End,
        error if error.is_error() => Fetched::Failed(KafkaError::MessageConsumption(error.into())),
        _ => Fetched::Message(FetchedMessage { message, lifetime: PhantomData }),
    };
    if (taker.take)(fetched).is_break() {
        // SAFETY: of a live client. It tells the call that this thread is in to end, and to put back what it has not handed out.
        unsafe { rd_kafka_yield(taker.client) }
    }
}

impl FetchedMessage<'_> {
    fn raw(&self) -> &rd_kafka_message_t {
        // SAFETY: a message is not destroyed before the call of `take` that it was handed to has returned.
        unsafe { self.message.as_ref() }
    }

    pub(super) fn offset(&self) -> i64 {
        self.raw().offset
    }

    pub(super) fn key(&self) -> Option<&[u8]> {
        let message = self.raw();
        // SAFETY: the key has `key_len` bytes, or is null, and lives as long as the message.
        (!message.key.is_null()).then(|| unsafe { std::slice::from_raw_parts(message.key.cast(), message.key_len) })
    }

    pub(super) fn value(&self) -> Option<&[u8]> {
        let message = self.raw();
        // SAFETY: the value has `len` bytes, or is null, and lives as long as the message.
        (!message.payload.is_null()).then(|| unsafe { std::slice::from_raw_parts(message.payload.cast(), message.len) })
    }

    /// Milliseconds of the producer's or the log's clock; -1 where there is no time.
    pub(super) fn timestamp_ms(&self) -> i64 {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives; the kind is written before it is read.
        let timestamp_ms = unsafe { rd_kafka_message_timestamp(self.message.as_ptr(), &raw mut kind) };
        if kind == rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE { -1 } else { timestamp_ms }
    }

    /// The headers, in order.
    pub(super) fn headers(&self) -> Vec<RawHeader<'_>> {
        let mut list = std::ptr::null_mut();
        // SAFETY: the message lives; the list is written where the answer is that there is one.
        let answer = unsafe { rd_kafka_message_headers(self.message.as_ptr(), &raw mut list) };
        if answer != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Vec::new();
        }
        let mut all = Vec::new();
        loop {
            let (mut name, mut value, mut size) = (std::ptr::null(), std::ptr::null(), 0);
            // SAFETY: the list is the message's own and lives as long as it does; the three results are written before they are read.
            let answer = unsafe { rd_kafka_header_get_all(list, all.len(), &raw mut name, &raw mut value, &raw mut size) };
            if answer != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return all;
            }
            // SAFETY: the name ends with a zero byte, the value has `size` bytes or is null; both live as long as the message.
            let (name, value) = unsafe {
                let value = (!value.is_null()).then(|| std::slice::from_raw_parts(value.cast::<u8>(), size));
                (CStr::from_ptr(name).to_bytes(), value)
            };
            all.push(RawHeader { name, value });
        }
    }
}

#[cfg(test)]
mod tests;
