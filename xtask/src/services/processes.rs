//! Processes that outlive the one that started them: known again by pid and start time, so that a number that the system has given to
//! another process since is never signalled. Linux only: it reads `/proc`.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// A process that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it was started, in clock ticks since the machine's start.
    pub started_ticks: u64,
}

/// The user and group that a process runs as.
#[derive(Clone, Copy)]
pub struct Account {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

/// Lets `command` run as `account`.
pub fn run_as(command: &mut Command, account: Option<Account>) {
    if let Some(Account { uid, gid }) = account {
        command.uid(uid).gid(gid);
    }
}

/// Starts `command` in a process group of its own, so that the terminal's Ctrl-C doesn't reach it; what it prints is added to `log`.
pub fn spawn(command: &mut Command, log: &Path, account: Option<Account>) -> Result<Process> {
    let file = File::options().create(true).append(true).open(log).with_context(|| format!("can't write {}", log.display()))?;
    let errors = file.try_clone()?;
    command.stdin(Stdio::null()).stdout(file).stderr(errors).process_group(0);
    run_as(command, account);
    of_child(&command.spawn().with_context(|| format!("can't start {}", command.get_program().display()))?)
}

/// Whether it is still there, and not only as a zombie.
pub fn is_alive(process: Process) -> bool {
    stat(process.pid).is_some_and(|stat| stat.started_ticks == process.started_ticks && !matches!(stat.state, 'Z' | 'X'))
}

/// Whether it is there and stopped.
pub fn is_paused(process: Process) -> bool {
    is_alive(process) && stat(process.pid).is_some_and(|stat| stat.state == 'T')
}

/// Sends `signal` to the process alone.
pub fn signal(process: Process, signal: Signal) {
    if is_alive(process) {
        send(process.pid, signal);
    }
}

/// Sends `signal` to the process and all its descendants, parents first: a stopped parent has no further children, a killed one can't
/// replace a child.
pub fn signal_tree(process: Process, signal: Signal) {
    if is_alive(process) {
        let descendants = descendants(process.pid);
        send(process.pid, signal);
        descendants.into_iter().for_each(|pid| send(pid, signal));
    }
}

/// The memory in bytes that the process and all its descendants have at this moment (VmRSS): what they have in common is counted for each.
pub fn resident_bytes(process: Process) -> u64 {
    if !is_alive(process) {
        return 0;
    }
    let all = descendants(process.pid).into_iter().chain([process.pid]);
    all.filter_map(|pid| resident(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)).sum()
}

/// The bytes that `/proc/<pid>/status` gives as VmRSS in KiB (proc_pid_status(5)); a process of the kernel's, or one that has ended, has none.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// A process that was started as `child` of this one, and has not been waited for.
pub fn of_child(child: &std::process::Child) -> Result<Process> {
    let pid = child.id();
    let started_ticks = stat(pid).map(|stat| stat.started_ticks).context("it ended as soon as it was started")?;
    Ok(Process { pid, started_ticks })
}

fn send(pid: u32, signal: Signal) {
    // A process that has ended meanwhile needs no signal.
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// The numbers of all processes below `root`, nearest first.
fn descendants(root: u32) -> Vec<u32> {
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let all: Vec<(u32, u32)> =
        numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(|pid| Some((pid, stat(pid)?.parent))).collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(all.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// What `/proc/<pid>/stat` says (proc_pid_stat(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    parent: u32,
    started_ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The program's name is in parentheses and may itself have blanks and parentheses: what counts begins after the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let mut words = text.rsplit_once(')')?.1.split_whitespace();
    let state = words.next()?.chars().next()?;
    let parent = words.next()?.parse().ok()?;
    // The third and fourth fields are gone; the start time is the twenty-second.
    let started_ticks = words.nth(17)?.parse().ok()?;
    Some(Stat { state, parent, started_ticks })
}

#[cfg(test)]
mod tests;
