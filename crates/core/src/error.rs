//! The one public error type: a kind that says what the caller has to do, and a message that says what happened where.
//!
//! Adapters keep private error enums and classify them in one `From`; nothing outside looks at an adapter's own errors.

use std::error::Error as StdError;
use std::fmt;

/// A result of Millstream's ports.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller has to do about an error. Few on purpose: each is a different reaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself is wrong (a bad value, an unknown column, duplicate primary keys): change it; a retry can't help.
    InvalidInput,
    /// The table, topic, partition or file does not exist.
    NotFound,
    /// It exists already, and differs from what was asked for.
    AlreadyExists,
    /// Somebody newer does this work now (a later attempt of the same flow): stop, and touch nothing more.
    Fenced,
    /// The system does not answer at the moment: wait and try the same again.
    Unavailable,
    /// A bound is reached (disk full, memory budget, queue): make room, then try the same again.
    Exhausted,
    /// Stored bytes are not what was written: stop and look; nothing may be overwritten.
    Corrupt,
    /// Millstream, or the system behind the port, doesn't do this (yet).
    Unsupported,
    /// The position asked for is outside of what the log holds.
    OutOfRange,
    /// A defect of Millstream.
    Internal,
}

impl ErrorKind {
    /// Whether the same call can succeed later without anybody changing it.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::Exhausted)
    }

    /// The HTTP status with which the gateway answers.
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            Self::InvalidInput | Self::OutOfRange => 400,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Fenced => 409,
            Self::Unavailable => 503,
            Self::Exhausted => 507,
            Self::Unsupported => 501,
            Self::Corrupt | Self::Internal => 500,
        }
    }

    /// The process exit code of the command line: 1 for what the user has to change, 2 is clap's, 3 for what may pass, 4 for defects and damage.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::InvalidInput | Self::NotFound | Self::AlreadyExists | Self::Unsupported | Self::OutOfRange => 1,
            Self::Unavailable | Self::Exhausted | Self::Fenced => 3,
            Self::Corrupt | Self::Internal => 4,
        }
    }
}

/// An error of Millstream: its [`ErrorKind`], and a lowercase message that names the operation, the subject and the system.
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The same with the error that caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts `what: ` before the message: the operation on whose behalf this happened.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// What the caller has to do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message without its causes.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

macro_rules! constructors {
    ($($name:ident => $kind:ident),* $(,)?) => {
        impl Error {
            $(
                #[doc = concat!("An error of kind [`ErrorKind::", stringify!($kind), "`].")]
                pub fn $name(message: impl Into<String>) -> Self {
                    Self::new(ErrorKind::$kind, message)
                }
            )*
        }
    };
}

constructors! {
    invalid => InvalidInput,
    not_found => NotFound,
    already_exists => AlreadyExists,
    fenced => Fenced,
    unavailable => Unavailable,
    exhausted => Exhausted,
    corrupt => Corrupt,
    unsupported => Unsupported,
    out_of_range => OutOfRange,
    internal => Internal,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause = self.source.as_deref().map(|s| s as &dyn StdError);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error").field("kind", &self.kind).field("message", &self.message).field("source", &self.source).finish()
    }
}

// `Display` prints the whole chain, so `source` stays hidden: a reporter that walks the chain would print each cause twice.
impl StdError for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::AlreadyExists => ErrorKind::AlreadyExists,
            Io::StorageFull | Io::QuotaExceeded | Io::OutOfMemory => ErrorKind::Exhausted,
            Io::PermissionDenied | Io::InvalidInput | Io::AddrInUse | Io::AddrNotAvailable => ErrorKind::InvalidInput,
            Io::InvalidData | Io::UnexpectedEof => ErrorKind::Corrupt,
            _ => ErrorKind::Unavailable,
        };
        Self::new(kind, "input or output failed").caused_by(error)
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        use arrow::error::ArrowError as A;
        match error {
            A::CastError(_) | A::ParseError(_) | A::ArithmeticOverflow(_) | A::DivideByZero | A::ComputeError(_) => {
                Self::invalid("a value could not be computed").caused_by(error)
            }
            A::IpcError(_) => Self::corrupt("stored columns can't be read").caused_by(error),
            other => Self::internal("columns don't fit together").caused_by(other),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::corrupt("stored JSON can't be read").caused_by(error)
    }
}

#[cfg(test)]
mod tests;
