//! What the systems are made of: Debian's packages, and jars that Maven fetches once into the user's cache folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

use crate::run;

/// A program, and the Debian package that brings it.
const PROGRAMS: [(&str, &str); 11] = [
    ("java", "default-jdk-headless"),
    ("mvn", "maven"),
    ("openssl", "openssl"),
    ("postgres", "postgresql"),
    ("psql", "postgresql-client"),
    ("pgbouncer", "pgbouncer"),
    ("mariadbd", "mariadb-server"),
    ("mariadb-install-db", "mariadb-server"),
    ("mariadb", "mariadb-client"),
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
];

/// Installs what is missing, as root on Debian; otherwise an error says in one line what is missing.
pub fn programs() -> Result<()> {
    let mut packages = missing();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !rustix::process::getuid().is_root() || run::on_path("apt-get").is_none() {
        bail!("the real systems need what is missing here; on Debian or Ubuntu: {install}");
    }
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(&packages);
    apt(&arguments)?;
    match missing().first() {
        Some(package) => bail!("{package} was installed and does not bring what it should"),
        None => Ok(()),
    }
}

fn missing() -> Vec<&'static str> {
    PROGRAMS.iter().filter(|(program, _)| find(program).is_none()).map(|(_, package)| *package).collect()
}

/// With a run level of 1 the packages' scripts don't start daemons of their own (invoke-rc.d(8)).
fn apt(arguments: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    run::shown(apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1"))
}

/// Where a program is: servers often lie in folders that are not on a user's PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    let elsewhere = [PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")].into_iter().chain(newest_postgresql());
    run::on_path(program).or_else(|| elsewhere.map(|folder| folder.join(program)).find(|file| file.is_file()))
}

/// A command for a program that [`programs`] has seen to.
pub fn command(program: &str) -> Result<Command> {
    Ok(Command::new(find(program).with_context(|| format!("there is no {program}"))?))
}

/// Debian's folder with the programs of PostgreSQL's newest version.
fn newest_postgresql() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let newest = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).max()?;
    Some(PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin")))
}

/// Java 17, which both systems on Java run with, where Debian has it beside another; else the one on the PATH.
pub fn java() -> Result<Command> {
    let machines = std::fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
    let seventeen = machines.map(|entry| entry.path()).find(|path| path.to_string_lossy().contains("java-17-openjdk-"));
    match seventeen.map(|home| home.join("bin/java")).filter(|java| java.is_file()) {
        Some(java) => Ok(Command::new(java)),
        None => command("java"),
    }
}

/// Only one Maven at a time writes to its own cache.
static MAVEN: Mutex<()> = Mutex::new(());

/// The jars that `pom` asks for, fetched once into the user's cache folder under `name`, which has the version in it.
pub fn jars(name: &str, pom: &str) -> Result<PathBuf> {
    let cache = cache_folder()?;
    let folder = cache.join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    let _alone = MAVEN.lock();
    eprintln!("fetching {name} with Maven, once");
    let partial = cache.join(format!("{name}.{}", std::process::id()));
    std::fs::create_dir_all(&partial)?;
    std::fs::write(partial.join("pom.xml"), pom)?;
    let goal = ["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=."];
    run::captured(Command::new("mvn").current_dir(&partial).args(goal)).with_context(|| format!("can't fetch {name}"))?;
    if std::fs::rename(&partial, &folder).is_err() {
        // Another process was faster.
        std::fs::remove_dir_all(&partial)?;
    }
    Ok(folder)
}

/// A Python with Spark of `version`, installed once into the user's cache folder.
pub fn pyspark(version: &str) -> Result<PathBuf> {
    let folder = cache_folder()?.join(format!("pyspark-{version}"));
    let python = folder.join("bin/python");
    if !folder.is_dir() {
        let partial = folder.with_extension(format!("{}", std::process::id()));
        run::shown(Command::new("python3").args(["-m", "venv"]).arg(&partial))?;
        let package = format!("pyspark=={version}");
        run::shown(Command::new(partial.join("bin/python")).args(["-m", "pip", "install", "--quiet", &package, "setuptools"]))?;
        std::fs::rename(&partial, &folder)?;
    }
    Ok(python)
}

/// Where downloads are kept.
pub fn cache_folder() -> Result<PathBuf> {
    let own = std::env::var_os("XDG_CACHE_HOME").filter(|folder| Path::new(folder).is_absolute()).map(PathBuf::from);
    let base = own.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    Ok(base.context("neither XDG_CACHE_HOME nor HOME is set")?.join("millstream"))
}
