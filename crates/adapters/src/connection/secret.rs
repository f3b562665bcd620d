//! [`Secret`]: where a password or token is found. The configuration names the place; the text itself is read when it is needed.

use std::fmt;
use std::path::PathBuf;

use millstream_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// The place of a secret: `{ env = "PGPASSWORD" }` or `{ file = "/run/secrets/postgresql" }`.
///
/// A file (a mounted Kubernetes secret, Azure Key Vault's CSI driver) is read again whenever a connection is made, so that a rotated
/// secret is picked up without a restart. Plain text is refused: a configuration file is no place for a secret.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Secret {
    /// A variable of the environment.
    Env(String),
    /// A file that holds the secret and nothing else; one line break at its end is not part of it.
    File(PathBuf),
}

/// A secret that was read. Its text shows in no message.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl Secret {
    /// Reads the secret of `setting` (`postgresql.password`). [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) names the setting
    /// and the place, never the text.
    pub fn read(&self, setting: &str) -> Result<SecretText> {
        match self {
            Self::Env(name) => std::env::var(name)
                .map(SecretText)
                .map_err(|_| Error::invalid(format!("{setting}: the environment variable {name} is not set (or is not UTF-8)"))),
            Self::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|e| Error::invalid(format!("{setting}: the file {} can't be read", path.display())).caused_by(e))?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                Ok(SecretText(text.strip_suffix('\r').unwrap_or(text).to_owned()))
            }
        }
    }
}

impl SecretText {
    /// The text, for the call that authenticates.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(#[expect(dead_code, reason = "only its presence counts")] String),
            Place(Place),
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Place {
            env: Option<String>,
            file: Option<PathBuf>,
        }
        let wrong = "a secret is { env = \"VARIABLE\" } or { file = \"/path\" }, never plain text";
        match Written::deserialize(deserializer).map_err(|_| serde::de::Error::custom(wrong))? {
            Written::Place(Place { env: Some(name), file: None }) => Ok(Self::Env(name)),
            Written::Place(Place { env: None, file: Some(path) }) => Ok(Self::File(path)),
            Written::Text(_) | Written::Place(_) => Err(serde::de::Error::custom(wrong)),
        }
    }
}

#[cfg(test)]
mod tests;
