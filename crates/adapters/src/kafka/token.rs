//! The bearer token of OAUTHBEARER (RFC 7628): read from the place where an identity service writes it (a workload identity's projected
//! file), with its subject and expiry where it is a JWT (RFC 7519).
//!
//! Signatures are not looked at: that is for the cluster to do.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use millstream_core::ports::Clock;
use millstream_core::{Error, Result};
use rdkafka::client::OAuthToken;
use serde::Deserialize;

use crate::connection::Secret;

/// A token that does not say when it expires is read again after so long.
const UNKNOWN_LIFETIME_MS: i64 = 5 * 60 * 1_000;

#[derive(Default, Deserialize)]
struct Claims {
    sub: Option<String>,
    /// Seconds since the epoch; a fraction is allowed.
    exp: Option<f64>,
}

/// Reads the token. [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) where there is none, or one that has expired.
pub(super) fn read(token: Option<&Secret>, clock: &dyn Clock) -> Result<OAuthToken> {
    let token = token.ok_or_else(|| Error::invalid("kafka.token is not set, and sasl_mechanism is OAUTHBEARER"))?;
    let text = token.read("kafka.token")?.expose().trim().to_owned();
    let now_ms = clock.now().micros() / 1_000;
    let claims = claims_of(&text);
    #[expect(clippy::cast_possible_truncation, reason = "seconds since the epoch, cut to the millisecond")]
    let lifetime_ms = claims.exp.map_or(now_ms + UNKNOWN_LIFETIME_MS, |seconds| (seconds * 1_000.0) as i64);
    if lifetime_ms <= now_ms {
        return Err(Error::invalid(format!("kafka.token ({token:?}) has expired: the service that writes it must renew it")));
    }
    Ok(OAuthToken { token: text, principal_name: claims.sub.unwrap_or_else(|| "millstream".to_owned()), lifetime_ms })
}

fn claims_of(token: &str) -> Claims {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok());
    payload.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
