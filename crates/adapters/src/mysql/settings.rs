//! [`MysqlSettings`]: the section `[mysql]`, checked without any I/O.

use std::time::Duration;

use millstream_core::{Error, Result};
use mysql_async::Opts;
use serde::{Deserialize, Serialize};

use crate::connection::{Secret, TlsSettings};

/// What becomes of a date that is none: `0000-00-00`, `2013-02-00`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ZeroDates {
    /// The load fails and names the row.
    #[default]
    Error,
    /// It is read as null.
    Null,
}

/// How Millstream reaches MySQL or MariaDB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MysqlSettings {
    /// Where the database is: `mysql://user@host:3306/database`, without a password. `?ssl-mode=disabled` or `?ssl-mode=required` (the
    /// server's certificate and host name are always verified); not set: `disabled` for this machine, `required` for any other.
    pub url: String,
    /// The user; not set: the URL's.
    #[serde(default)]
    pub user: Option<String>,
    /// The password's place; it is read for each new connection. Not set: none.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Invalid dates such as 0000-00-00: `error`, or `null`.
    #[serde(default)]
    pub zero_dates: ZeroDates,
    /// How long connecting may take, in milliseconds. 5,000.
    #[serde(default = "defaults::connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// How long an answer may take, in milliseconds. 10,000. Reading a table may take longer as long as the server takes other
    /// connections, up to `statement_timeout_s`.
    #[serde(default = "defaults::request_timeout_ms")]
    pub request_timeout_ms: u64,
    /// How long reading a table may stand still, in seconds. 3,600.
    #[serde(default = "defaults::statement_timeout_s")]
    pub statement_timeout_s: u64,
    /// Whom TLS trusts, and who the client says it is.
    #[serde(default)]
    pub tls: TlsSettings,
}

mod defaults {
    pub(super) const fn connect_timeout_ms() -> u64 {
        5_000
    }
    pub(super) const fn request_timeout_ms() -> u64 {
        10_000
    }
    pub(super) const fn statement_timeout_s() -> u64 {
        3_600
    }
}

impl MysqlSettings {
    /// The defaults, for the database at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            user: None,
            password: None,
            zero_dates: ZeroDates::default(),
            connect_timeout_ms: defaults::connect_timeout_ms(),
            request_timeout_ms: defaults::request_timeout_ms(),
            statement_timeout_s: defaults::statement_timeout_s(),
            tls: TlsSettings::default(),
        }
    }

    /// Checks everything that needs no connection. [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) names the setting.
    pub fn validate(&self) -> Result<()> {
        self.options()?;
        for (setting, value) in [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("request_timeout_ms", self.request_timeout_ms),
            ("statement_timeout_s", self.statement_timeout_s),
        ] {
            if !(1..=3_600_000).contains(&value) {
                return Err(Error::invalid(format!("mysql.{setting} is not between 1 and 3,600,000")));
            }
        }
        self.tls.validate("mysql")
    }

    /// The URL as the client reads it, and whether TLS is on.
    pub(super) fn options(&self) -> Result<(Opts, bool)> {
        let wrong = |why: &str| Error::invalid(format!("mysql.url is not like mysql://user@host:3306/database: {why}"));
        let (address, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let mode = match query {
            "" => None,
            "ssl-mode=disabled" => Some(false),
            "ssl-mode=required" | "ssl-mode=verify_identity" => Some(true),
            _ => return Err(wrong("behind the ? stands ssl-mode=disabled or ssl-mode=required, and nothing else")),
        };
        // The client's own message could show the URL, and a password in it.
        let options = Opts::from_url(address).map_err(|_| wrong("it can't be read"))?;
        if options.pass().is_some() {
            return Err(Error::invalid(
                "mysql.url holds a password: take it out, and set mysql.password to { env = \"VARIABLE\" } or { file = \"/path\" }",
            ));
        }
        if options.db_name().is_none() {
            return Err(wrong("it has no database"));
        }
        if self.user.is_none() && options.user().is_none() {
            return Err(Error::invalid("mysql has no user: set mysql.user, or put it in mysql.url"));
        }
        let is_here = matches!(options.ip_or_hostname(), "localhost" | "127.0.0.1" | "::1" | "[::1]");
        Ok((options, mode.unwrap_or(!is_here)))
    }

    /// What messages call the database: `reference at db:3306`.
    pub(super) fn place(&self) -> String {
        match self.options() {
            Ok((o, _)) => format!("{} at {}:{}", o.db_name().unwrap_or_default(), o.ip_or_hostname(), o.tcp_port()),
            Err(_) => "MySQL".to_owned(),
        }
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

#[cfg(test)]
mod tests;
