//! Where clients connect: three addresses, which must be this machine's own until there is TLS and authentication.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Section `[listen]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenSettings {
    /// The HTTP API and the status page.
    pub http: ListenAddress,
    /// The Kafka endpoint.
    pub kafka: ListenAddress,
    /// The PostgreSQL endpoint.
    pub sql: ListenAddress,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self { http: ListenAddress::loopback(8080), kafka: ListenAddress::loopback(9092), sql: ListenAddress::loopback(5432) }
    }
}

impl ListenSettings {
    /// Each address with the name of its setting.
    pub fn named(&self) -> [(&'static str, ListenAddress); 3] {
        [("listen.http", self.http), ("listen.kafka", self.kafka), ("listen.sql", self.sql)]
    }

    pub(super) fn validate(&self) -> Result<()> {
        for (setting, address) in self.named() {
            if !address.0.ip().is_loopback() {
                return Err(Error::invalid(format!(
                    "{setting} = {address} can be reached from other machines, and there is no TLS or authentication for it yet: \
                     set {setting} to a loopback address, such as 127.0.0.1:{}",
                    address.0.port()
                )));
            }
        }
        let named = self.named();
        for (i, (setting, address)) in named.iter().enumerate() {
            if let Some((other, _)) = named[..i].iter().find(|(_, a)| a == address && address.0.port() != 0) {
                return Err(Error::invalid(format!("{other} and {setting} are both {address}: give each its own port")));
            }
        }
        Ok(())
    }
}

/// An address and port to listen on: `127.0.0.1:9092`, `[::1]:9092` or `localhost:9092`; port 0 takes a free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListenAddress(pub SocketAddr);

impl ListenAddress {
    /// `port` on the loopback interface.
    pub fn loopback(port: u16) -> Self {
        Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// A free port on the same interface.
    pub fn with_free_port(self) -> Self {
        Self(SocketAddr::new(self.0.ip(), 0))
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numeric = match text.strip_prefix("localhost:") {
            Some(port) => format!("{}:{port}", Ipv4Addr::LOCALHOST),
            None => text.to_owned(),
        };
        numeric.parse().map(Self).map_err(|_| format!("{text:?} is not an address and port such as 127.0.0.1:9092"))
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ListenAddress> for String {
    fn from(address: ListenAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
