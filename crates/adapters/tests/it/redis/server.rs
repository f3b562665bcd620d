//! A server of a test's own, to be paused and killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use millstream_testkit::require;
use tempfile::TempDir;

pub struct Server {
    dir: TempDir,
    port: u16,
    options: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// `None`: redis-server isn't installed, and the test is skipped.
    pub fn start(options: &[&str]) -> Option<Self> {
        let present = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
        if !require("redis", present) {
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options = options.iter().map(|o| (*o).to_owned()).collect();
        let mut server = Self { dir: tempfile::tempdir().unwrap(), port, options, child: None };
        server.run();
        Some(server)
    }

    /// Starts it, after a kill on the same data, and returns when it takes connections.
    pub fn run(&mut self) {
        let mut child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(self.dir.path())
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        self.child = Some(child);
        // The rest of its output isn't read; it is short.
        assert!(output.lines().map_while(Result::ok).any(|line| line.contains("Ready to accept connections")), "the server starts");
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
