//! [`LakeLocation`]: where files lie, parsed from how Spark writes it.

use std::fmt;
use std::path::{Path, PathBuf};

use millstream_core::{Error, Result};
use object_store::path::Path as ObjectPath;

/// A file or folder in a lake, or on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeLocation {
    pub(super) root: Root,
    /// Within the root; empty for the root itself.
    pub(super) path: ObjectPath,
}

/// What a path counts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// The root of the file system.
    Local,
    /// A container of an account, whose domain follows the account's name: `core.windows.net`.
    Azure {
        account: String,
        domain: String,
        container: String,
    },
    S3 {
        bucket: String,
    },
    Gcs {
        bucket: String,
    },
}

impl LakeLocation {
    /// Reads an absolute path, `file:///path`, `abfss://container@account.dfs.core.windows.net/path`, `s3://bucket/path` (`s3a://` too) or
    /// `gs://bucket/path`. The path is taken as it stands: `%20` is three characters.
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) shows the forms.
    pub fn parse(text: &str) -> Result<Self> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self::local(Path::new(text));
        };
        if scheme == "file" {
            return Self::local(Path::new(rest.strip_prefix("localhost").unwrap_or(rest)));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = ObjectPath::parse(path.trim_end_matches('/'))
            .map_err(|e| Error::invalid(format!("the location {text:?} has a path that can't be used")).caused_by(e))?;
        let bucket = || match authority {
            "" => Err(Error::invalid(format!("the location {text:?} names no bucket: write {scheme}://bucket/path"))),
            _ if authority.contains(['@', ':', '?', '#']) => {
                Err(Error::invalid(format!("the location {text:?} is not {scheme}://bucket/path: keys and endpoints stand in [lake]")))
            }
            bucket => Ok(bucket.to_owned()),
        };
        let root = match scheme {
            "s3" | "s3a" => Root::S3 { bucket: bucket()? },
            "gs" => Root::Gcs { bucket: bucket()? },
            "abfss" => azure(authority).ok_or_else(|| {
                Error::invalid(format!("the location {text:?} is not abfss://container@account.dfs.core.windows.net/path"))
            })?,
            _ => {
                return Err(Error::invalid(format!(
                    "the location {text:?} has the scheme {scheme}, which is not one of file, abfss, s3 and gs"
                )));
            }
        };
        Ok(Self { root, path })
    }

    /// The file or folder at an absolute `path` of this machine. Nothing is looked at.
    pub fn local(path: &Path) -> Result<Self> {
        if !path.is_absolute() {
            return Err(Error::invalid(format!("the location {} is no absolute path", path.display())));
        }
        let bad = |e| Error::invalid(format!("the location {} can't be used", path.display())).caused_by(e);
        Ok(Self { root: Root::Local, path: ObjectPath::from_absolute_path(path).map_err(bad)? })
    }

    /// What is called `name` in this folder.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        Self { root: self.root.clone(), path: self.path.clone().join(name) }
    }

    /// The path on this machine; `None` elsewhere.
    #[must_use]
    pub fn local_path(&self) -> Option<PathBuf> {
        match self.root {
            Root::Local => object_store::local::LocalFileSystem::new().path_to_filesystem(&self.path).ok(),
            _ => None,
        }
    }

    /// How `path`, of the same root, is written.
    pub(super) fn display(&self, path: &ObjectPath) -> String {
        match &self.root {
            Root::Local => format!("/{path}"),
            Root::Azure { account, domain, container } => format!("abfss://{container}@{account}.dfs.{domain}/{path}"),
            Root::S3 { bucket } => format!("s3://{bucket}/{path}"),
            Root::Gcs { bucket } => format!("gs://{bucket}/{path}"),
        }
    }
}

fn azure(authority: &str) -> Option<Root> {
    let (container, host) = authority.split_once('@')?;
    let (account, domain) = host.split_once(".dfs.")?;
    let words = |text: &str, extra: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || extra.as_bytes().contains(&b))
    };
    let fits = words(account, "") && words(container, "-$") && words(domain, "-.");
    fits.then(|| Root::Azure { account: account.to_owned(), domain: domain.to_owned(), container: container.to_owned() })
}

impl fmt::Display for LakeLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display(&self.path))
    }
}

#[cfg(test)]
mod tests;
