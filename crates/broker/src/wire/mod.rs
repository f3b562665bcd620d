//! The wire: bytes of one request frame to a decoded request, and a response to the bytes of its frame. Pure: no socket, no log.
//!
//! Messages are decoded by `kafka-protocol`. Before that, [`shape`] walks over the bytes and checks that every length and count in
//! them is backed by bytes that are there, because the decoder reserves memory for whatever count it reads.

mod codes;
mod shape;
mod versions;

pub use codes::of_log_error;
pub use versions::{SUPPORTED, Supported, supported};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, RequestKind, ResponseHeader, ResponseKind};
use kafka_protocol::protocol::{Decodable, Encodable};

/// Bytes of a frame's length field.
pub const FRAME_PREFIX_LEN: usize = 4;

/// Why a frame can't be answered: the connection is closed, as Kafka's broker does.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The frame's length is impossible, or larger than is taken.
    #[error(
        "a request of {len} bytes was announced, and at most {max} are taken (request_bytes_max); is this a Kafka client, without TLS?"
    )]
    FrameLength {
        /// The announced length.
        len: i32,
        /// The largest one.
        max: usize,
    },
    /// A request that this endpoint doesn't serve.
    #[error("request type {0} is not served")]
    Api(i16),
    /// A version of a request that this endpoint doesn't serve. Clients ask for the versions first.
    #[error("{api:?} version {version} is not served (only {min} to {max})")]
    Version {
        /// The request.
        api: ApiKey,
        /// The version it came in.
        version: i16,
        /// The lowest that is served.
        min: i16,
        /// The highest that is served.
        max: i16,
    },
    /// Bytes that are no request.
    #[error("a malformed {what}: {why}")]
    Malformed {
        /// What it claims to be.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// A response that can't be encoded: a defect.
    #[error("the response to {api:?} version {version} can't be encoded: {why}")]
    Encode {
        /// The request.
        api: ApiKey,
        /// Its version.
        version: i16,
        /// What the encoder says.
        why: String,
    },
}

/// A decoded request.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub api: ApiKey,
    /// In which version the response is expected.
    pub version: i16,
    /// The client's number for it, which the response repeats.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: String,
    /// The request; `None` for an ApiVersions request in a version of the future, which gets an answer all the same (KIP-511).
    pub body: Option<RequestKind>,
}

/// Checks an announced frame length against the bound, in bytes.
pub fn frame_len(announced: i32, max: usize) -> Result<usize, WireError> {
    usize::try_from(announced).ok().filter(|len| *len <= max).ok_or(WireError::FrameLength { len: announced, max })
}

/// Decodes the frame of one request (without its length field).
pub fn decode(mut frame: Bytes) -> Result<Request, WireError> {
    let Some(&[k0, k1, v0, v1, c0, c1, c2, c3]) = frame.first_chunk::<8>() else {
        return Err(WireError::Malformed { what: "request".to_owned(), why: format!("it has only {} bytes", frame.len()) });
    };
    let key = i16::from_be_bytes([k0, k1]);
    let version = i16::from_be_bytes([v0, v1]);
    let correlation_id = i32::from_be_bytes([c0, c1, c2, c3]);
    let served = supported(key).ok_or(WireError::Api(key))?;
    let api = served.api;
    if !(served.min..=served.max).contains(&version) {
        if api == ApiKey::ApiVersions {
            return Ok(Request { api, version: 0, correlation_id, client_id: String::new(), body: None });
        }
        return Err(WireError::Version { api, version, min: served.min, max: served.max });
    }
    let malformed = |why: String| WireError::Malformed { what: format!("{api:?} request, version {version}"), why };
    let header_version = api.request_header_version(version);
    shape::check(&frame, served, version, header_version).map_err(|e| malformed(e.to_string()))?;
    let header = RequestHeader::decode(&mut frame, header_version).map_err(|e| malformed(e.to_string()))?;
    let body = RequestKind::decode(api, &mut frame, version).map_err(|e| malformed(format!("{e:#}")))?;
    // Bytes behind the body are passed over, as Kafka does: librdkafka's request for the metadata of all topics has three too many.
    let client_id = header.client_id.map(|c| c.to_string()).unwrap_or_default();
    Ok(Request { api, version, correlation_id, client_id, body: Some(body) })
}

/// Encodes the frame of a response, with its length field.
pub fn encode(api: ApiKey, version: i16, correlation_id: i32, response: &ResponseKind) -> Result<Bytes, WireError> {
    let failed = |why: String| WireError::Encode { api, version, why };
    let mut out = BytesMut::new();
    out.put_i32(0);
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    header.encode(&mut out, api.response_header_version(version)).map_err(|e| failed(format!("{e:#}")))?;
    response.encode(&mut out, version).map_err(|e| failed(format!("{e:#}")))?;
    let len = i32::try_from(out.len() - FRAME_PREFIX_LEN).map_err(|_| failed("it is larger than 2 GiB".to_owned()))?;
    out[..FRAME_PREFIX_LEN].copy_from_slice(&len.to_be_bytes());
    Ok(out.freeze())
}

#[cfg(test)]
mod tests;
