//! [`Site`]: one instance of all systems, in one folder. Owns `services.toml`: who listens where, which processes were started.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use toml::{Table, Value};

use super::processes::{self, Account, Process};
use super::system::{SYSTEMS, System};
use super::{START_LIMIT, known};
use crate::ci::now;
use crate::run;

const FILE: &str = "services.toml";

/// How long a system may take to end in order.
const END_LIMIT: Duration = Duration::from_secs(15);

/// Below the ports that the kernel gives to outgoing connections: a killed system finds its own free when it comes again.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// An instance of all systems.
#[derive(Clone)]
pub struct Site {
    folder: PathBuf,
    /// `services.toml`.
    table: Table,
}

/// What came of starting a system.
pub struct Launched {
    /// The process, once there was one.
    pub process: Option<Process>,
    /// Why it does not answer.
    pub failure: Option<anyhow::Error>,
}

/// Whether there is an instance in `folder`.
pub fn exists(folder: &Path) -> bool {
    folder.join(FILE).is_file()
}

impl Site {
    /// A new instance in `folder`, which must be empty or not there, with ports that nobody listens on.
    pub fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
        ensure!(std::fs::read_dir(folder)?.next().is_none(), "{} is not empty, and was not made by `services up`", folder.display());
        let folder = folder.canonicalize()?;
        let mut site = Self { folder, table: Table::new() };
        let names: Vec<_> = SYSTEMS.iter().flat_map(|system| system.ports().iter().map(|port| (system.name(), *port))).collect();
        let mut services = Table::new();
        for ((name, key), port) in names.iter().zip(free_ports(names.len())?) {
            let entry = services.entry(*name).or_insert_with(|| Table::new().into());
            entry.as_table_mut().context("a table")?.insert((*key).to_owned(), i64::from(port).into());
        }
        site.table.insert("services".to_owned(), services.into());
        std::fs::create_dir(site.folder.join("secrets"))?;
        for system in SYSTEMS {
            let name = system.name();
            std::fs::create_dir(site.dir(name))?;
            let secret = site.secret_file(name);
            std::fs::write(&secret, random_hex()?)?;
            std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        }
        let certificates = ["ca", "other-ca", "client"].map(|name| site.certificate(&format!("{name}.pem")).display().to_string());
        let [authority, other, client] = certificates;
        let key = site.certificate("client.key").display().to_string();
        let tls = [("ca_file", authority), ("other_ca_file", other), ("certificate_file", client), ("key_file", key)];
        site.entry("tls")?.extend(tls.map(|(setting, file)| (setting.to_owned(), file.into())));
        for system in SYSTEMS {
            let settings = system.settings(&site);
            if !settings.is_empty() {
                site.table.insert(system.name().to_owned(), settings.into());
            }
            let extras = system.extras(&site);
            site.entry(system.name())?.extend(extras);
        }
        site.save()?;
        Ok(site)
    }

    /// The instance that is in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        let file = folder.join(FILE);
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("nothing runs in {}: start with `cargo xtask services up`", folder.display()))?;
        let table = text.parse().with_context(|| format!("can't read {}", file.display()))?;
        Ok(Self { folder: folder.canonicalize()?, table })
    }

    /// The instance's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `services.toml`.
    pub fn file(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// What `services.toml` says.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// A system's own folder.
    pub fn dir(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What a system prints.
    pub fn log(&self, name: &str) -> PathBuf {
        self.dir(name).join("log")
    }

    /// The file with the password of a system's user.
    pub fn secret_file(&self, name: &str) -> PathBuf {
        self.folder.join("secrets").join(name)
    }

    /// That password.
    pub fn secret(&self, name: &str) -> Result<String> {
        let file = self.secret_file(name);
        std::fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))
    }

    /// A file of the certificates' folder.
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.folder.join("certificates").join(name)
    }

    /// A port of a system, 0 if it has none of that name.
    pub fn port(&self, name: &str, key: &str) -> u16 {
        let port = self.service(name).and_then(|service| service.get(key)?.as_integer());
        port.and_then(|port| u16::try_from(port).ok()).unwrap_or(0)
    }

    /// `127.0.0.1:port`.
    pub fn address(&self, name: &str, key: &str) -> String {
        format!("127.0.0.1:{}", self.port(name, key))
    }

    /// The account that `system` runs as, if it is not this process's own. The first of its own and `nobody` that there is.
    pub fn account(system: &dyn System) -> Result<Option<Account>> {
        let Some(name) = system.account().filter(|_| rustix::process::getuid().is_root()) else { return Ok(None) };
        for user in [name, "nobody"] {
            let number = |flag: &str| run::captured(Command::new("id").args([flag, user])).ok()?.trim().parse().ok();
            if let (Some(uid), Some(gid)) = (number("-u"), number("-g")) {
                return Ok(Some(Account { uid, gid }));
            }
        }
        bail!("{} does not run as root, and there is no user {name}", system.name())
    }

    /// Gives a system's folder, with all that is in it, to the account that it runs as.
    pub fn hand_over(&self, system: &dyn System) -> Result<()> {
        match Self::account(system)? {
            Some(account) => give(&self.dir(system.name()), account),
            None => Ok(()),
        }
    }

    /// Prepares `system` if that was never done, starts it, and waits until it answers.
    pub fn launch(&self, system: &'static dyn System) -> Launched {
        let mut launched = Launched { process: None, failure: None };
        launched.failure = self.try_launch(system, &mut launched.process).err();
        launched
    }

    fn try_launch(&self, system: &'static dyn System, started: &mut Option<Process>) -> Result<()> {
        let name = system.name();
        let start = now();
        let prepared = self.dir(name).join("prepared");
        let first = !prepared.exists();
        if first {
            system.prepare(self).with_context(|| format!("{name} could not be prepared"))?;
            self.hand_over(system)?;
        }
        system.sweep(self);
        let mut command = system.command(self)?;
        command.current_dir(self.dir(name));
        let process = processes::spawn(&mut command, &self.log(name), Self::account(system)?)?;
        *started = Some(process);
        while !system.answers(self) {
            if !processes::is_alive(process) {
                bail!("{name} ended\n{}", self.log_tail(name));
            }
            if start.elapsed() > START_LIMIT {
                bail!("{name} did not answer within {} s\n{}", START_LIMIT.as_secs(), self.log_tail(name));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        if first {
            system.settle(self).with_context(|| format!("{name} answers, and could not be set up\n{}", self.log_tail(name)))?;
            std::fs::write(prepared, "")?;
        }
        eprintln!("{name} answers on {} ({:.1} s)", self.address(name, "port"), start.elapsed().as_secs_f64());
        Ok(())
    }

    /// The end of what a system printed.
    fn log_tail(&self, name: &str) -> String {
        let text = std::fs::read(self.log(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        format!("{}:\n{}", self.log(name).display(), lines[lines.len().saturating_sub(30)..].join("\n"))
    }

    /// Stops a system's processes where they are.
    pub fn pause(&self, name: &str) -> Result<()> {
        processes::signal_tree(self.must_run(name)?, Signal::STOP);
        Ok(())
    }

    /// Lets a paused system go on.
    pub fn resume(&self, name: &str) -> Result<()> {
        processes::signal_tree(self.must_run(name)?, Signal::CONT);
        Ok(())
    }

    /// Kills a system's processes at once, and waits until the system has taken them away.
    pub fn kill(&self, name: &str) -> Result<()> {
        let process = self.must_run(name)?;
        processes::signal_tree(process, Signal::KILL);
        ensure!(ends(process, END_LIMIT), "{name} (pid {}) does not go away", process.pid);
        Ok(())
    }

    /// Starts a system again.
    pub fn start(&mut self, name: &str) -> Result<()> {
        let system = known(name)?;
        ensure!(!self.runs(name), "{name} runs already");
        let Launched { process, failure } = self.launch(system);
        if let Some(process) = process {
            self.remember(name, process);
            self.save()?;
        }
        failure.map_or(Ok(()), Err)
    }

    /// Ends a system in order, or else by force.
    pub fn end(&self, system: &'static dyn System) {
        if let Some(process) = self.process(system.name()).filter(|process| processes::is_alive(*process)) {
            processes::signal(process, system.farewell());
            processes::signal_tree(process, Signal::CONT);
            if !ends(process, END_LIMIT) {
                processes::signal_tree(process, Signal::KILL);
                ends(process, END_LIMIT);
            }
        }
        system.sweep(self);
    }

    /// Whether a system's process is there.
    pub fn runs(&self, name: &str) -> bool {
        self.process(name).is_some_and(processes::is_alive)
    }

    fn must_run(&self, name: &str) -> Result<Process> {
        known(name)?;
        match self.process(name).filter(|process| processes::is_alive(*process)) {
            Some(process) => Ok(process),
            None => bail!("{name} does not run"),
        }
    }

    /// The process that was started last for a system.
    pub fn process(&self, name: &str) -> Option<Process> {
        let service = self.service(name)?;
        let number = |key: &str| service.get(key)?.as_integer();
        Some(Process { pid: u32::try_from(number("pid")?).ok()?, started_ticks: u64::try_from(number("started_ticks")?).ok()? })
    }

    /// Keeps which process was started; [`save`](Self::save) writes it.
    pub fn remember(&mut self, name: &str, process: Process) {
        if let Ok(entry) = self.entry(name) {
            entry.insert("pid".to_owned(), i64::from(process.pid).into());
            entry.insert("started_ticks".to_owned(), Value::Integer(process.started_ticks.cast_signed()));
        }
    }

    /// Writes `services.toml`: whoever reads meanwhile sees the old or the new one.
    pub fn save(&self) -> Result<()> {
        let new = self.folder.join("services.toml.new");
        std::fs::write(&new, self.table.to_string())?;
        std::fs::rename(&new, self.file()).with_context(|| format!("can't write {}", self.file().display()))
    }

    fn service(&self, name: &str) -> Option<&Table> {
        self.table.get("services")?.get(name)?.as_table()
    }

    fn entry(&mut self, name: &str) -> Result<&mut Table> {
        let services = self.table.get_mut("services").and_then(Value::as_table_mut).context("services.toml has no [services]")?;
        services.entry(name).or_insert_with(|| Table::new().into()).as_table_mut().context("[services.*] are tables")
    }
}

/// Waits until the process has ended; `false` if it hasn't within `limit`.
fn ends(process: Process, limit: Duration) -> bool {
    let start = now();
    while processes::is_alive(process) {
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

fn give(path: &Path, account: Account) -> Result<()> {
    chown(path, Some(account.uid), Some(account.gid))?;
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path(), account)?;
        }
    }
    Ok(())
}

/// Ports that nobody listens on. Another instance that starts at this moment looks elsewhere: the search begins at a number of this
/// process's own.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let offset = u16::try_from(std::process::id() * 97 % 11_000).unwrap_or(0);
    let mut held = Vec::new();
    let mut ports = BTreeSet::new();
    for port in (PORTS.start + offset..PORTS.end).chain(PORTS.start..PORTS.start + offset) {
        if ports.len() == count {
            break;
        }
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            held.push(listener);
            ports.insert(port);
        }
    }
    ensure!(ports.len() == count, "there are no {count} free ports from {} to {}", PORTS.start, PORTS.end);
    Ok(ports.into_iter().collect())
}

/// 128 random bits in hexadecimal.
pub fn random_hex() -> Result<String> {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").context("no random numbers")?;
    Ok(uuid.trim().replace('-', ""))
}
