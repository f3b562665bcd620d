//! A running `millstream`: started on free ports and a data directory of its own, ended when it is dropped.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use toml::Table;

use super::clients;
use crate::ci::now;
use crate::services::processes;
use crate::workspace;

/// A folder under the build's own, emptied for this run.
pub fn folder(name: &str) -> Result<PathBuf> {
    let folder = workspace::target_dir()?.join("e2e").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("can't empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A folder for a `millstream`: its configuration, with addresses that stay the same over its restarts, its data and its log.
pub struct Place {
    folder: PathBuf,
    /// The Kafka endpoint, `host:port`.
    pub kafka: String,
    sql: String,
    http: String,
    /// Whether topics are a real Kafka's: an address of the built-in endpoint is refused then.
    has_kafka: bool,
}

impl Place {
    /// Free ports, and `sections` as further text of the configuration.
    pub fn new(folder: &Path, sections: &str) -> Result<Self> {
        let [kafka, sql, http] = free_addresses()?;
        let has_kafka = sections.parse::<Table>().context("sections of a configuration")?.contains_key("kafka");
        let endpoint = if has_kafka { String::new() } else { format!("kafka = \"{kafka}\"\n") };
        let text = format!("[listen]\n{endpoint}sql = \"{sql}\"\nhttp = \"{http}\"\n\n{sections}");
        std::fs::write(folder.join("millstream.toml"), text)?;
        Ok(Self { folder: folder.to_owned(), kafka, sql, http, has_kafka })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a pipeline has run here.
    pub fn has_data(&self) -> bool {
        self.folder.join("data").exists()
    }

    /// `millstream ARGUMENTS` with this configuration and data, and without any setting from this environment.
    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        self.command_with(program, &self.folder.join("millstream.toml"), arguments)
    }

    fn command_with(&self, program: &Path, config: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MILLSTREAM_")) {
            command.env_remove(name);
        }
        command.current_dir(workspace::root()).args(arguments);
        command.arg("--config").arg(config).arg("--data-dir").arg(self.folder.join("data"));
        command
    }

    /// Starts it; its log is added to `folder/log`.
    pub fn start(&self, arguments: &[&str]) -> Result<Millstream> {
        self.spawn(self.command(&workspace::program()?, arguments))
    }

    /// Starts another build of the program.
    pub fn start_build(&self, program: &Path, arguments: &[&str]) -> Result<Millstream> {
        self.spawn(self.command(program, arguments))
    }

    /// Starts it with another file of settings for the same engines, which `variables` of the environment override; the addresses are this
    /// place's.
    pub fn start_with(&self, file: &Path, variables: &[(String, String)], arguments: &[&str]) -> Result<Millstream> {
        let mut command = self.command_with(&workspace::program()?, file, arguments);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let kafka = (!self.has_kafka).then_some(("KAFKA", &self.kafka));
        for (endpoint, address) in [("SQL", &self.sql), ("HTTP", &self.http)].into_iter().chain(kafka) {
            command.env(format!("MILLSTREAM_LISTEN__{endpoint}"), address);
        }
        self.spawn(command)
    }

    /// Runs a command of another build to its end, and gives its stdout.
    pub fn run_build(&self, program: &Path, arguments: &[&str]) -> Result<String> {
        crate::run::captured(&mut self.command(program, arguments))
    }

    fn spawn(&self, mut command: Command) -> Result<Millstream> {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("log"))?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().context("can't start millstream")?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        let (sender, lines) = channel();
        // Ends by itself: at the end of the program's output, or when nobody listens any more.
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let [kafka, sql, http] = [&self.kafka, &self.sql, &self.http].map(Clone::clone);
        Ok(Millstream { child, lines, data_dir: self.folder.join("data"), kafka, sql, http })
    }
}

/// A `millstream` that serves.
pub struct Millstream {
    child: Child,
    lines: Receiver<String>,
    data_dir: PathBuf,
    /// The Kafka endpoint, `host:port`.
    pub kafka: String,
    /// The PostgreSQL endpoint, `host:port`.
    pub sql: String,
    /// The HTTP endpoint, `host:port`.
    pub http: String,
}

impl Millstream {
    /// Starts `millstream ARGUMENTS` on built-in engines with its data in `folder`; its log goes to `folder/log`.
    pub fn start(folder: &Path, arguments: &[&str]) -> Result<Self> {
        Place::new(folder, "")?.start(arguments)
    }

    /// The same with another build of the program.
    pub fn start_program(program: &Path, folder: &Path, arguments: &[&str]) -> Result<Self> {
        Place::new(folder, "")?.start_build(program, arguments)
    }

    /// Waits until `/readyz` says yes.
    pub fn wait_until_ready(&mut self, limit: Duration) -> Result<()> {
        let http = self.http.clone();
        until(limit, "/readyz answers 200", || {
            self.must_run()?;
            Ok(clients::get(&http, "/readyz").is_ok_and(|answer| answer.status == 200))
        })
    }

    /// Waits until a line of its stdout contains `text`; gives all lines up to that one.
    pub fn wait_for_line(&mut self, limit: Duration, text: &str) -> Result<Vec<String>> {
        let start = now();
        let mut seen = Vec::new();
        loop {
            let left = limit.checked_sub(start.elapsed()).unwrap_or_default();
            match self.lines.recv_timeout(left) {
                Ok(line) => seen.push(line),
                Err(_) => bail!("millstream did not print {text:?} within {limit:?}; it printed\n{}\n{}", seen.join("\n"), self.log()),
            }
            if seen.last().is_some_and(|line| line.contains(text)) {
                return Ok(seen);
            }
        }
    }

    /// Waits until it ends by itself; gives its exit status, its stdout, and the peak of its resident memory in bytes (VmHWM).
    pub fn wait_for_end(mut self, limit: Duration) -> Result<(ExitStatus, String, u64)> {
        let mut peak = 0;
        let mut ended = None;
        until(limit, "millstream ends", || {
            peak = peak.max(peak_memory(self.child.id()).unwrap_or(0));
            ended = self.child.try_wait()?;
            Ok(ended.is_some())
        })?;
        let status = ended.context("it has ended")?;
        let lines: Vec<String> = self.lines.iter().collect();
        if !status.success() {
            bail!("millstream: {status}\n{}\n{}", lines.join("\n"), self.log());
        }
        Ok((status, lines.join("\n"), peak))
    }

    /// The time that it has had of the processors, in seconds.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        cpu_seconds(&stat).with_context(|| format!("/proc/PID/stat: {stat}"))
    }

    /// The peak of its resident memory so far, in bytes (VmHWM).
    pub fn peak_memory(&self) -> Result<u64> {
        peak_memory(self.child.id()).context("the process has no VmHWM")
    }

    /// The resident memory that it has now, in bytes.
    pub fn resident_memory(&self) -> Result<u64> {
        Ok(processes::resident_bytes(processes::of_child(&self.child)?))
    }

    /// Runs another `millstream ARGUMENTS` beside it, on the same data directory, and gives its stdout.
    pub fn command(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(workspace::program()?);
        command.current_dir(workspace::root()).args(arguments).arg("--data-dir").arg(&self.data_dir);
        crate::run::captured(&mut command)
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// All that was logged in its folder.
    pub fn whole_log(&self) -> String {
        std::fs::read_to_string(self.data_dir.with_file_name("log")).unwrap_or_default()
    }

    /// The end of what it logged.
    pub fn log(&self) -> String {
        let text = self.whole_log();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// An error with the end of its log if it has ended.
    pub fn must_run(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("millstream ended: {status}\n{}", self.log());
        }
        Ok(())
    }
}

impl Drop for Millstream {
    fn drop(&mut self) {
        // It has ended already when either fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks `condition` until it is true; an error names `what` after `limit`.
pub fn until(limit: Duration, what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = now();
    while !condition()? {
        if start.elapsed() > limit {
            bail!("waited {limit:?} in vain until {what}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Addresses that nobody listens on at this moment.
fn free_addresses() -> Result<[String; 3]> {
    let bind = || TcpListener::bind("127.0.0.1:0");
    let listeners = [bind()?, bind()?, bind()?];
    let [a, b, c] = listeners.each_ref().map(TcpListener::local_addr);
    Ok([a?.to_string(), b?.to_string(), c?.to_string()])
}

/// The seconds in a line of `/proc/PID/stat`: user and system time, the 14th and 15th field, in hundredths (proc(5)).
fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name in parentheses, which may hold blanks.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}
