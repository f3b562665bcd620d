//! What must be on the machine before anything is built, so that a missing part is one line and not a page of a build script's output.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::run::on_path;

/// A part, how it is recognised, and the Debian package that brings it.
struct Part {
    what: &'static str,
    evidence: Evidence,
    package: &'static str,
}

#[derive(Clone, Copy)]
enum Evidence {
    /// Any of these programs is on the path.
    Programs(&'static [&'static str]),
    /// pkg-config knows this library, headers included.
    Library(&'static str),
}

/// librdkafka, lz4 and zstd are C; librdkafka is built by its own configure script and make, and takes TLS from the system's OpenSSL.
const PARTS: [Part; 5] = [
    Part { what: "a C compiler", evidence: Evidence::Programs(&["cc", "gcc", "clang"]), package: "gcc" },
    Part { what: "a C++ compiler", evidence: Evidence::Programs(&["c++", "g++", "clang++"]), package: "g++" },
    Part { what: "make", evidence: Evidence::Programs(&["make"]), package: "make" },
    Part { what: "pkg-config", evidence: Evidence::Programs(&["pkg-config"]), package: "pkg-config" },
    Part { what: "OpenSSL's headers", evidence: Evidence::Library("openssl"), package: "libssl-dev" },
];

/// Fails in one line with what is missing and how Debian and Ubuntu install it.
pub fn check() -> Result<()> {
    let has = |evidence| match evidence {
        Evidence::Programs(programs) => programs.iter().any(|program| on_path(program).is_some()),
        Evidence::Library(name) => knows_library(name),
    };
    match complaint(has) {
        None => Ok(()),
        Some(complaint) => bail!(complaint),
    }
}

fn knows_library(name: &str) -> bool {
    let mut pkg_config = Command::new("pkg-config");
    pkg_config.args(["--exists", name]).stdout(Stdio::null()).stderr(Stdio::null());
    pkg_config.status().is_ok_and(|status| status.success())
}

fn complaint(has: impl Fn(Evidence) -> bool) -> Option<String> {
    let missing: Vec<&Part> = PARTS.iter().filter(|part| !has(part.evidence)).collect();
    if missing.is_empty() {
        return None;
    }
    let what: Vec<_> = missing.iter().map(|part| part.what).collect();
    let packages: Vec<_> = missing.iter().map(|part| part.package).collect();
    Some(format!("the build needs {}; on Debian or Ubuntu: apt-get install -y {}", what.join(" and "), packages.join(" ")))
}

#[cfg(test)]
mod tests;
