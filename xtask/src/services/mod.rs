//! `cargo xtask services`: real Kafka, Cassandra, PostgreSQL, PgBouncer, MariaDB and Redis as local processes, without containers.
//!
//! All that an instance consists of lies in one folder: settings, data, logs, secrets, certificates, and `services.toml`, whose sections
//! are those of `millstream.toml` and whose `[services.*]` tables hold what only tests need. `down` ends exactly the processes that
//! `services.toml` names, and removes the folder. Downloads are kept in the user's cache folder. It knows no product crate.

pub mod cassandra;
mod certificates;
pub mod exports;
pub mod install;
pub mod kafka;
pub mod mysql;
pub mod postgresql;
pub mod processes;
pub mod redis;
mod site;
mod system;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Subcommand;

pub use site::Site;
pub use system::table;
use system::{SYSTEMS, System, named};

use crate::suites::align;

/// How long a system may take until it answers. Machines that also compile are slow.
const START_LIMIT: Duration = Duration::from_secs(240);

/// What to do with the real systems
#[derive(Subcommand)]
pub enum Verb {
    /// Install what is missing, start every system that does not run, and print how to reach them
    Up,
    /// End what `up` started and remove its folder
    Down,
    /// Say what runs
    Status,
    /// Print the variables that point Millstream and its tests to the systems, for eval "$(cargo xtask services env)"
    Env,
    /// Stop a system's processes where they are (SIGSTOP)
    Pause {
        /// kafka, cassandra, postgresql, pgbouncer, mysql, redis, redis-cluster
        name: String,
    },
    /// Let a paused system go on (SIGCONT)
    Resume {
        /// Its name
        name: String,
    },
    /// Kill a system's processes at once (SIGKILL)
    Kill {
        /// Its name
        name: String,
    },
    /// Start a system again on the same ports and data, and wait until it answers
    Start {
        /// Its name
        name: String,
    },
}

/// Does what `verb` says with the instance in `folder`; without one, with the user's own under the system's temporary folder.
pub fn run(verb: &Verb, folder: Option<PathBuf>) -> Result<()> {
    let folder = folder.unwrap_or_else(default_folder);
    match verb {
        Verb::Up => {
            let site = up(&folder)?;
            println!("{}", exports::lines(&site)?);
            return Ok(());
        }
        Verb::Down if !site::exists(&folder) => {
            eprintln!("nothing runs in {}", folder.display());
            return Ok(());
        }
        _ => {}
    }
    let mut site = Site::open(&folder)?;
    match verb {
        Verb::Up => {}
        Verb::Down => down(&site)?,
        Verb::Status => println!("{}", status(&site)),
        Verb::Env => println!("{}", exports::lines(&site)?),
        Verb::Pause { name } => site.pause(name)?,
        Verb::Resume { name } => site.resume(name)?,
        Verb::Kill { name } => site.kill(name)?,
        Verb::Start { name } => site.start(name)?,
    }
    Ok(())
}

/// The instance that `MILLSTREAM_SERVICES` names, or the user's own, if there is one.
pub fn instance() -> Result<Option<Site>> {
    let named = std::env::var_os("MILLSTREAM_SERVICES").map(PathBuf::from);
    let folder = named.as_deref().and_then(std::path::Path::parent).map_or_else(default_folder, Into::into);
    if named.is_none() && !site::exists(&folder) {
        return Ok(None);
    }
    Site::open(&folder).map(Some)
}

fn default_folder() -> PathBuf {
    std::env::temp_dir().join(format!("millstream-services-{}", rustix::process::getuid().as_raw()))
}

/// Starts every system that doesn't run in `folder`, all at once, and waits until each answers. If one fails, a new instance is taken
/// down again.
pub fn up(folder: &std::path::Path) -> Result<Site> {
    install::programs()?;
    if site::exists(folder) {
        let mut site = Site::open(folder)?;
        let ended: Vec<_> = SYSTEMS.iter().copied().filter(|system| !site.runs(system.name())).collect();
        start_all(&mut site, &ended)?;
        return Ok(site);
    }
    let mut site = Site::create(folder)?;
    let started = certificates::make(&site).and_then(|()| start_all(&mut site, &SYSTEMS));
    if let Err(error) = started {
        // The first error says what is wrong.
        let _ = down(&site);
        return Err(error);
    }
    Ok(site)
}

/// Prepares what was never started, starts, and waits, each system in a thread of its own.
fn start_all(site: &mut Site, systems: &[&'static dyn System]) -> Result<()> {
    let before: &Site = site;
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = systems.iter().map(|system| scope.spawn(move || (system.name(), before.launch(*system)))).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let mut failures = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok((name, launched)) => {
                if let Some(process) = launched.process {
                    site.remember(name, process);
                }
                failures.extend(launched.failure.map(|error| format!("{error:#}")));
            }
            Err(_) => failures.push("starting a system panicked".to_owned()),
        }
    }
    site.save()?;
    if !failures.is_empty() {
        bail!(failures.join("\n"));
    }
    Ok(())
}

/// Ends every process of the instance, and removes its folder.
pub fn down(site: &Site) -> Result<()> {
    std::thread::scope(|scope| {
        for system in SYSTEMS {
            scope.spawn(move || site.end(system));
        }
    });
    std::fs::remove_dir_all(site.folder())?;
    Ok(())
}

fn status(site: &Site) -> String {
    let mut rows = vec![["system", "state", "pid", "address"].map(str::to_owned).to_vec()];
    for system in SYSTEMS {
        let name = system.name();
        let state = match site.process(name) {
            Some(process) if processes::is_paused(process) => "paused",
            Some(process) if processes::is_alive(process) && system.answers(site) => "answers",
            Some(process) if processes::is_alive(process) => "does not answer",
            _ => "does not run",
        };
        let pid = site.process(name).map_or_else(String::new, |process| process.pid.to_string());
        rows.push(vec![name.to_owned(), state.to_owned(), pid, site.address(name, "port")]);
    }
    format!("{}\nfolder: {}", align(&rows), site.folder().display())
}

/// The system called `name`, or an error that lists all.
pub fn known(name: &str) -> Result<&'static dyn System> {
    match named(name) {
        Some(system) => Ok(system),
        None => bail!("there is no {name}; there are: {}", SYSTEMS.map(System::name).join(", ")),
    }
}
