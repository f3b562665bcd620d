//! The server's end of the control socket.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millstream_core::{Error, Result};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::protocol::{Call, VERSION};
use super::{Answer, Frame, Responder, SOCKET, socket_path};

/// The longest request: a file of repaired events fits.
const REQUEST_BYTES_MAX: u64 = 64 << 20;

/// Calls at one time; further ones wait.
const CALLS_MAX: usize = 32;

/// The control socket, bound and not yet serving. Dropping it removes the socket.
pub struct ControlServer {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlServer {
    /// Binds the socket in `dir`, in place of what a process that is gone left there: whoever calls this holds the directory's lock.
    pub fn bind(dir: &Path) -> Result<Self> {
        let failed = |e: std::io::Error| Error::from(e).context(format!("the control socket in {} can't be bound", dir.display()));
        let path = dir.join(SOCKET);
        // Bound under another name, closed to others, then put in its place: nobody meets a half-made socket.
        let making = format!("{SOCKET}.new");
        let (short, _folder) = socket_path(dir, &making).map_err(failed)?;
        let _ = std::fs::remove_file(&short);
        let listener = UnixListener::bind(&short).map_err(failed)?;
        std::fs::set_permissions(&short, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        std::fs::rename(dir.join(&making), &path).map_err(failed)?;
        Ok(Self { listener, path })
    }

    /// Answers calls until `shutdown`; calls that are under way are then cancelled.
    pub async fn run(self, responder: Arc<dyn Responder>, shutdown: CancellationToken) {
        let mut calls = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = calls.join_next() => {}
                accepted = self.listener.accept(), if calls.len() < CALLS_MAX => match accepted {
                    Ok((socket, _)) => {
                        calls.spawn(serve(socket, responder.clone()));
                    }
                    Err(error) => tracing::warn!(%error, "a call on the control socket could not be accepted"),
                }
            }
        }
        calls.shutdown().await;
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// One call, from its request to its last frame.
async fn serve(socket: UnixStream, responder: Arc<dyn Responder>) {
    let (read, mut write) = socket.into_split();
    let mut read = BufReader::new(read.take(REQUEST_BYTES_MAX));
    let mut line = String::new();
    let request = match read.read_line(&mut line).await.map_err(Error::from).and_then(|_| parse(&line)) {
        Ok(request) => request,
        Err(error) => {
            let _ = send(&mut write, &failed(&error)).await;
            return;
        }
    };
    let (answer, mut frames) = Answer::channel();
    let work = async {
        let outcome = responder.respond(request, &answer).await;
        drop(answer);
        outcome
    };
    let forward = async {
        while let Some(frame) = frames.recv().await {
            send(&mut write, &frame).await?;
        }
        Ok::<_, std::io::Error>(write)
    };
    // A client sends nothing after its request: when this read ends, it has hung up.
    let mut rest = [0_u8; 1];
    tokio::select! {
        (outcome, forwarded) = async { tokio::join!(work, forward) } => {
            if let Ok(mut write) = forwarded {
                let last = outcome.map_or_else(|e| failed(&e), |exit_code| Frame::End { exit_code });
                let _ = send(&mut write, &last).await;
            }
        }
        _ = read.read(&mut rest) => tracing::debug!("a call on the control socket was cancelled by its client"),
    }
}

fn parse(line: &str) -> Result<super::Request> {
    let call: Call = serde_json::from_str(line).map_err(|e| Error::invalid("a call on the control socket can't be read").caused_by(e))?;
    if call.version != VERSION {
        return Err(Error::unsupported(format!(
            "the running process speaks version {VERSION} of the control protocol, and this program version {}: use the same build",
            call.version
        )));
    }
    Ok(call.request)
}

fn failed(error: &Error) -> Frame {
    Frame::Failed { exit_code: error.kind().exit_code(), message: error.to_string() }
}

async fn send(write: &mut OwnedWriteHalf, frame: &Frame) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(frame)?;
    line.push(b'\n');
    write.write_all(&line).await
}
