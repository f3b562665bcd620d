//! Two calls of librdkafka that rdkafka does not pass on, or not as they are meant. What reads records is in [`queue`](super::queue), what
//! sends them in [`topic_handle`](super::topic_handle).
#![expect(unsafe_code, reason = "foreign functions, on pointers that their owners outlive")]

use std::ffi::CString;
use std::time::Duration;

use rdkafka::bindings::{rd_kafka_err2str, rd_kafka_flush, rd_kafka_oauthbearer_set_token, rd_kafka_resp_err_t};
use rdkafka::client::{Client, ClientContext, OAuthToken};

/// Sends everything that waits in the producer's queue now, however long its linger, and returns whether all of it was answered within
/// `timeout`. rdkafka's own flush only looks whether the queue is empty, so that what lingers goes on lingering. Some other thread has to
/// serve the producer's events.
pub(super) fn flush<C: ClientContext>(client: &Client<C>, timeout: Duration) -> bool {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the pointer is that of a live client, which `client` borrows until the call returns.
    let answer = unsafe { rd_kafka_flush(client.native_ptr(), timeout_ms) };
    answer == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// Gives the client its bearer token. The error is librdkafka's reason.
pub(super) fn set_token<C: ClientContext>(client: &Client<C>, token: &OAuthToken) -> Result<(), String> {
    let text = CString::new(token.token.as_str()).map_err(|_| "it holds a zero byte".to_owned())?;
    let principal = CString::new(token.principal_name.as_str()).map_err(|_| "its subject holds a zero byte".to_owned())?;
    let mut reason = [0_i8; 256];
    // SAFETY: all pointers live until the call returns; there are no extensions (null, 0); the reason's size is passed with it.
    let answer = unsafe {
        rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            text.as_ptr(),
            token.lifetime_ms,
            principal.as_ptr(),
            std::ptr::null_mut(),
            0,
            reason.as_mut_ptr().cast(),
            reason.len(),
        )
    };
    if answer == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    // SAFETY: librdkafka's texts of its codes are static and end with a zero byte.
    let text = unsafe { std::ffi::CStr::from_ptr(rd_kafka_err2str(answer)) };
    let told: Vec<u8> = reason.iter().take_while(|c| **c != 0).map(|c| c.cast_unsigned()).collect();
    let told = String::from_utf8_lossy(&told).into_owned();
    Err(if told.is_empty() { text.to_string_lossy().into_owned() } else { told })
}
