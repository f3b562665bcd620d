//! What must be on the machine before anything is built, so that a missing part is one line and not a page of a build script's output.

use anyhow::{Result, bail};

use crate::run::on_path;

/// A part: the programs any of which will do, and the Debian package that brings one.
struct Part {
    what: &'static str,
    programs: &'static [&'static str],
    package: &'static str,
}

/// librdkafka, lz4 and zstd are C; librdkafka is built by its own configure script and make.
const PARTS: [Part; 3] = [
    Part { what: "a C compiler", programs: &["cc", "gcc", "clang"], package: "gcc" },
    Part { what: "a C++ compiler", programs: &["c++", "g++", "clang++"], package: "g++" },
    Part { what: "make", programs: &["make"], package: "make" },
];

/// Fails in one line with what is missing and how Debian and Ubuntu install it.
pub fn check() -> Result<()> {
    match complaint(|program| on_path(program).is_some()) {
        None => Ok(()),
        Some(complaint) => bail!(complaint),
    }
}

fn complaint(has: impl Fn(&str) -> bool) -> Option<String> {
    let missing: Vec<&Part> = PARTS.iter().filter(|part| !part.programs.iter().any(|program| has(program))).collect();
    if missing.is_empty() {
        return None;
    }
    let what: Vec<_> = missing.iter().map(|part| part.what).collect();
    let packages: Vec<_> = missing.iter().map(|part| part.package).collect();
    Some(format!("the build needs {}; on Debian or Ubuntu: apt-get install -y {}", what.join(" and "), packages.join(" ")))
}

#[cfg(test)]
mod tests;
