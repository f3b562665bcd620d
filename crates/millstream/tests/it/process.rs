//! Starting the program, talking to it, and ending it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tempfile::TempDir;

/// An answer takes a millisecond or more: some minutes.
const ASKED_MAX: usize = 50_000;

/// The program, without any setting from this environment.
pub fn millstream() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MILLSTREAM_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Lets `command` listen on free ports.
pub fn free_ports(command: &mut Command) {
    for name in ["HTTP", "KAFKA", "SQL"] {
        command.env(format!("MILLSTREAM_LISTEN__{name}"), "127.0.0.1:0");
    }
}

/// The whole answer to a GET of `path` below `base` (`http://host:port/`).
pub fn http_get(base: &str, path: &str) -> String {
    let host = base.trim_start_matches("http://").trim_end_matches('/');
    let mut socket = std::net::TcpStream::connect(host).unwrap();
    write!(socket, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

/// What a command that has ended left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn refused(self, with: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        with.iter().for_each(|text| assert!(self.stderr.contains(text), "no {text:?} in {}", self.stderr));
    }
}

/// A folder with a pipeline, beside its data directory.
pub struct Place {
    dir: TempDir,
}

impl Place {
    /// With one `pipeline.sql` of `sql`.
    pub fn with(sql: &str) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(place.pipeline(), sql).unwrap();
        place
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn pipeline(&self) -> PathBuf {
        self.dir.path().join("pipeline.sql")
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// `millstream <arguments> --data-dir <data>`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = millstream();
        command.args(arguments).arg("--data-dir").arg(self.data());
        command
    }

    pub fn run(&self) -> Running {
        Running::start(self, &[])
    }
}

/// `millstream run`, on free ports, ready.
pub struct Running {
    child: Child,
    data: PathBuf,
    log: Option<JoinHandle<String>>,
    pub listen: Value,
}

impl Running {
    /// Starts it with settings from the environment, and waits until it says that it runs.
    pub fn start(place: &Place, settings: &[(&str, &str)]) -> Self {
        let mut command = place.command(&["run"]);
        command.arg(place.pipeline()).args(["--log-format", "json"]).stderr(Stdio::piped());
        free_ports(&mut command);
        command.envs(settings.iter().copied());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        let listen = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended before it ran:\n{seen}");
            seen.push_str(&line);
            let fields = serde_json::from_str::<Value>(&line).unwrap_or_default()["fields"].take();
            if fields["message"] == "running" {
                break fields;
            }
        };
        // Read on, or it would stop at a full pipe.
        let log = std::thread::spawn(move || {
            stderr.read_to_string(&mut seen).unwrap();
            seen
        });
        Self { child, data: place.data(), log: Some(log), listen }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A request over the control socket: the text that it prints, or its error.
    pub fn call(&self, request: &Value) -> Result<String, String> {
        let mut socket = UnixStream::connect(self.data.join("control.sock")).map_err(|e| e.to_string())?;
        writeln!(socket, "{}", json!({ "version": 1, "request": request })).map_err(|e| e.to_string())?;
        let mut text = String::new();
        for line in BufReader::new(socket).lines() {
            let frame: Value = serde_json::from_str(&line.map_err(|e| e.to_string())?).unwrap();
            match frame["frame"].as_str().unwrap() {
                "data" => text.push_str(frame["text"].as_str().unwrap()),
                "failed" => return Err(frame["message"].as_str().unwrap().to_owned()),
                "end" => return Ok(text),
                _ => {}
            }
        }
        Err("hung up".to_owned())
    }

    /// The rows of a query as CSV lines, without the head.
    pub fn rows(&self, query: &str) -> Result<Vec<String>, String> {
        let text = self.call(&json!({ "command": "sql", "query": query, "format": "csv" }))?;
        Ok(text.lines().skip(1).map(str::to_owned).collect())
    }

    /// Asks again and again until there is an answer; gives up after so many times that something is wrong.
    pub fn until<T>(&self, ask: impl FnMut() -> Option<T>) -> Option<T> {
        std::iter::repeat_with(ask).take(ASKED_MAX).find_map(|answer| answer)
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&self.call(&json!({ "command": "status" })).unwrap()).unwrap()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log.take().unwrap().join().unwrap();
    }

    /// Waits for it to end by itself: how, and what it logged.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, self.log.take().unwrap().join().unwrap())
    }

    /// SIGTERM; then as [`Self::ended`].
    pub fn terminate(self) -> (ExitStatus, String) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.ended()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed half-way must not leave a process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
