//! The control socket: how the command line reaches the process that runs on a data directory.
//!
//! A Unix domain socket `control.sock` in the data directory, for its owner alone. A client sends one line of JSON, a
//! [`Call`](protocol::Call); the server answers with one [`Frame`] a line, the last of which ends the call. Who hangs up cancels it.
//! This module moves frames; what a request does is the business of the [`Responder`].

pub mod client;
pub mod protocol;
pub mod server;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::sync::mpsc;

pub use protocol::{Frame, Request};
pub use server::ControlServer;

use millstream_core::{Error, Result};

/// Frames that wait for a slow reader.
const FRAMES_MAX: usize = 8;

/// The socket's name in the data directory.
const SOCKET: &str = "control.sock";

/// Whoever can carry out requests: the process's own pipeline.
#[async_trait]
pub trait Responder: Send + Sync {
    /// Carries out `request`, sending what is to be printed; returns the exit code. Dropped when the client hangs up.
    async fn respond(&self, request: Request, answer: &Answer) -> Result<u8>;
}

/// The way back to whoever asked.
#[derive(Clone)]
pub struct Answer {
    frames: mpsc::Sender<Frame>,
}

impl Answer {
    /// A way back, and its end.
    pub fn channel() -> (Self, mpsc::Receiver<Frame>) {
        let (frames, receiver) = mpsc::channel(FRAMES_MAX);
        (Self { frames }, receiver)
    }

    /// Text for stdout, as it is.
    pub async fn data(&self, text: String) -> Result<()> {
        if text.is_empty() { Ok(()) } else { self.send(Frame::Data { text }).await }
    }

    /// A line for stderr.
    pub async fn note(&self, text: impl Into<String>) -> Result<()> {
        self.send(Frame::Note { text: text.into() }).await
    }

    /// How far a long work is. Left out when the reader is behind: the next one says it better.
    pub fn progress(&self, label: &str, done: u64, total: u64) {
        let _ = self.frames.try_send(Frame::Progress { label: label.to_owned(), done, total });
    }

    async fn send(&self, frame: Frame) -> Result<()> {
        self.frames.send(frame).await.map_err(|_| Error::unavailable("whoever asked has hung up"))
    }
}

/// A path to the socket that fits the 108 bytes of `sockaddr_un`, however long the data directory's is. The file, where there is
/// one, must stay open while the path is used.
fn socket_path(dir: &Path, name: &str) -> std::io::Result<(PathBuf, Option<std::fs::File>)> {
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;
    let path = dir.join(name);
    if path.as_os_str().as_bytes().len() < 100 {
        return Ok((path, None));
    }
    let folder = std::fs::File::open(dir)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd())), Some(folder)))
}

#[cfg(test)]
mod tests;
