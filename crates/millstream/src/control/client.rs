//! The client's end of the control socket.

use std::io::ErrorKind as Io;
use std::path::Path;

use millstream_core::{Error, ErrorKind, Result};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::protocol::{Call, VERSION};
use super::{Frame, Request, SOCKET, socket_path};

/// A connection to the process that runs on a data directory.
pub struct ControlClient {
    socket: UnixStream,
}

impl ControlClient {
    /// Reaches the process that runs on `dir`; `None` when none answers there.
    pub async fn connect(dir: &Path) -> Result<Option<Self>> {
        let failed = |e: std::io::Error| Error::from(e).context(format!("the control socket in {} can't be reached", dir.display()));
        let (path, _folder) = match socket_path(dir, SOCKET) {
            Err(e) if e.kind() == Io::NotFound => return Ok(None),
            other => other.map_err(failed)?,
        };
        match UnixStream::connect(&path).await {
            Ok(socket) => Ok(Some(Self { socket })),
            // No socket, or one that a killed process left behind.
            Err(e) if matches!(e.kind(), Io::NotFound | Io::ConnectionRefused) => Ok(None),
            Err(e) => Err(failed(e)),
        }
    }

    /// Sends `request`, gives every frame before the last to `show`, and returns the exit code.
    pub async fn call(self, request: Request, mut show: impl FnMut(Frame) -> Result<()>) -> Result<u8> {
        let lost = |e: std::io::Error| Error::unavailable("the running process hung up").caused_by(e);
        let (read, mut write) = self.socket.into_split();
        let mut line = serde_json::to_vec(&Call { version: VERSION, request })?;
        line.push(b'\n');
        write.write_all(&line).await.map_err(lost)?;
        let mut lines = BufReader::new(read).lines();
        while let Some(line) = lines.next_line().await.map_err(lost)? {
            match serde_json::from_str(&line)? {
                Frame::End { exit_code } => return Ok(exit_code),
                Frame::Failed { exit_code, message } => return Err(Error::new(kind_of(exit_code), message)),
                frame => show(frame)?,
            }
        }
        Err(Error::unavailable("the running process ended before it had answered"))
    }
}

/// A kind with this exit code: what is left of the kind on the way through the socket.
fn kind_of(exit_code: u8) -> ErrorKind {
    [ErrorKind::InvalidInput, ErrorKind::Unavailable].into_iter().find(|kind| kind.exit_code() == exit_code).unwrap_or(ErrorKind::Internal)
}
